package vm

import (
	"bytes"
	"debug/elf"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/ulikunitz/xz"
)

// wanted are the modules that the guest loads, with what they depend on. One that
// the kernel has built in, or has not, is passed over.
var wanted = []string{
	"virtio_pci", "virtio_console", // the channel
	"crc32c_generic",
	"veth", "bridge", "dummy", "tun", "ifb",
	"sch_netem", "sch_tbf", "sch_fq", "sch_htb", "sch_ingress", "cls_u32", "cls_matchall", "cls_bpf", "act_mirred",
	"nf_tables", "nf_conntrack", "nft_ct", "nft_nat", "nft_masq", "nft_chain_nat", "nft_reject", "nft_reject_inet", "nft_limit",
	"nft_fwd_netdev", "nft_dup_netdev",
	"af_packet_diag", "inet_diag", "tcp_diag", "mptcp_diag",
	"tcp_bbr", "tcp_vegas", "tcp_westwood", "tcp_dctcp",
}

// A module is a kernel module, decompressed.
type module struct {
	name string
	data []byte
}

// loadModules returns the wanted modules below dir and all they depend on, in an order
// in which they can be loaded.
func loadModules(dir string, names []string) ([]module, error) {
	files, err := moduleFiles(dir)
	if err != nil {
		return nil, err
	}
	var list []module
	done := make(map[string]bool)
	var add func(name string) error
	add = func(name string) error {
		file, ok := files[name]
		if done[name] || !ok {
			return nil
		}
		done[name] = true
		data, err := readModule(file)
		if err != nil {
			return fmt.Errorf("vm: module %s: %w", name, err)
		}
		needs, err := dependencies(data)
		if err != nil {
			return fmt.Errorf("vm: module %s: %w", name, err)
		}
		for _, n := range needs {
			if err := add(n); err != nil {
				return err
			}
		}
		list = append(list, module{name, data})
		return nil
	}
	for _, n := range names {
		if err := add(n); err != nil {
			return nil, err
		}
	}
	return list, nil
}

// moduleFiles finds all modules below dir: name to file.
func moduleFiles(dir string) (map[string]string, error) {
	files := make(map[string]string)
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		if name, _, ok := strings.Cut(d.Name(), ".ko"); ok {
			files[moduleName(name)] = path
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("vm: %w", err)
	}
	return files, nil
}

// moduleName is the kernel's form of a module's name: files may have hyphens.
func moduleName(s string) string { return strings.ReplaceAll(s, "-", "_") }

// readModule reads a module file, plain or compressed with xz.
func readModule(file string) ([]byte, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	switch filepath.Ext(file) {
	case ".ko":
		return data, nil
	case ".xz":
		r, err := xz.NewReader(bytes.NewReader(data))
		if err != nil {
			return nil, err
		}
		return io.ReadAll(r)
	}
	return nil, fmt.Errorf("%s is compressed in a way that is not known here", filepath.Base(file))
}

// dependencies returns the modules that a module names in its section .modinfo. The
// kernel package has no modules.dep: depmod makes it when the package is installed.
func dependencies(data []byte) ([]string, error) {
	f, err := elf.NewFile(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	s := f.Section(".modinfo")
	if s == nil {
		return nil, fmt.Errorf("no section .modinfo")
	}
	info, err := s.Data()
	if err != nil {
		return nil, err
	}
	var needs []string
	for field := range strings.SplitSeq(string(info), "\x00") {
		list, ok := strings.CutPrefix(field, "depends=")
		if !ok || list == "" {
			continue
		}
		for name := range strings.SplitSeq(list, ",") {
			needs = append(needs, moduleName(name))
		}
	}
	return needs, nil
}

package vm

import (
	"bytes"
	"encoding/binary"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/ulikunitz/xz"
)

// moduleELF makes the smallest object file with that section .modinfo.
func moduleELF(t *testing.T, info string) []byte {
	t.Helper()
	const names = "\x00.modinfo\x00.shstrtab\x00"
	var b bytes.Buffer
	put := func(v ...any) {
		for _, x := range v {
			if err := binary.Write(&b, binary.LittleEndian, x); err != nil {
				t.Fatal(err)
			}
		}
	}
	b.WriteString("\x7fELF\x02\x01\x01")
	b.Write(make([]byte, 9))
	at := 64 + len(info) + len(names) // of the section headers
	put(uint16(1), uint16(62), uint32(1), uint64(0), uint64(0), uint64(at), uint32(0),
		uint16(64), uint16(0), uint16(0), uint16(64), uint16(3), uint16(2))
	b.WriteString(info + names)
	section := func(name, kind uint32, offset, size int) {
		put(name, kind, uint64(0), uint64(0), uint64(offset), uint64(size), uint32(0), uint32(0), uint64(1), uint64(0))
	}
	section(0, 0, 0, 0)
	section(1, 1, 64, len(info))
	section(10, 3, 64+len(info), len(names))
	return b.Bytes()
}

func TestModulesComeAfterWhatTheyNeed(t *testing.T) {
	dir := t.TempDir()
	write := func(name, info string) {
		t.Helper()
		data := moduleELF(t, info)
		if filepath.Ext(name) == ".xz" {
			var b bytes.Buffer
			w, err := xz.NewWriter(&b)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := w.Write(data); err != nil {
				t.Fatal(err)
			}
			if err := w.Close(); err != nil {
				t.Fatal(err)
			}
			data = b.Bytes()
		}
		name = filepath.Join(dir, "kernel", name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("net/nf_tables.ko", "license=GPL\x00depends=nfnetlink,crc-lib\x00name=nf_tables\x00")
	write("net/nfnetlink.ko.xz", "license=GPL\x00depends=\x00")
	write("lib/crc-lib.ko.xz", "depends=base\x00")
	write("lib/base.ko", "depends=crc-lib\x00") // a circle must not hang
	write("net/unused.ko", "depends=nfnetlink\x00")

	list, err := loadModules(dir, []string{"not_there", "nf_tables", "crc_lib"})
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, m := range list {
		names = append(names, m.name)
		if !bytes.HasPrefix(m.data, []byte("\x7fELF")) {
			t.Errorf("%s is still compressed", m.name)
		}
	}
	if want := []string{"nfnetlink", "base", "crc_lib", "nf_tables"}; !slices.Equal(names, want) {
		t.Errorf("order %v, want %v", names, want)
	}

	write("net/broken.ko", "depends=x\x00")
	if err := os.WriteFile(filepath.Join(dir, "kernel/net/broken.ko"), []byte("no ELF"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := loadModules(dir, []string{"broken"}); err == nil {
		t.Error("a broken module is accepted")
	}
}

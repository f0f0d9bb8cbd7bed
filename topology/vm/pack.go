package vm

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// A job is what the guest has to do; it lies in the initramfs as jobFile.
type job struct {
	Program string   // path in the guest
	Args    []string // without the program's name
	Dir     string
	Env     []string
	Modules []string // files, in the order to load
	Results string   // the directory to bring back
	Carried []string // files that were there before: not results
}

const (
	jobFile    = "/.vm/job.json"
	moduleDir  = "/.vm/modules/"
	programDir = "/bin/"
)

// pack writes the initramfs into an anonymous file, which is gone when the last
// process closes it.
func pack(o *Options, k kernel) (*os.File, error) {
	fd, err := unix.MemfdCreate("initramfs", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("vm: memfd: %w", err)
	}
	f := os.NewFile(uintptr(fd), "initramfs")
	w := bufio.NewWriterSize(f, 1<<20)
	err = fill(newArchive(w), o, k)
	if err == nil {
		err = w.Flush()
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

func fill(a *archive, o *Options, k kernel) error {
	// devtmpfs is mounted by the guest; the kernel opens its console before.
	for _, d := range []string{"/dev", "/proc", "/sys", "/run", "/tmp", "/root", "/etc", "/var/tmp", "/var/lib", o.Dir} {
		a.dir(d)
	}
	a.device("/dev/console", 0o600, 5, 1)
	a.file("/etc/passwd", 0o644, []byte("root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n"))
	a.file("/etc/group", 0o644, []byte("root:x:0:\nnogroup:x:65534:\n"))
	a.file("/etc/hosts", 0o644, []byte("127.0.0.1 localhost\n::1 localhost\n"))

	j := job{Args: o.Args, Dir: o.Dir, Env: o.Env, Results: o.Out}
	if j.Results == "" && o.Dir != "/" {
		j.Results = o.Dir
	}
	var err error
	if j.Program, err = programs(a, o); err != nil {
		return err
	}
	modules, err := loadModules(k.modules, wanted)
	if err != nil {
		return err
	}
	for _, m := range modules {
		name := moduleDir + m.name + ".ko"
		a.file(name, 0o644, m.data)
		j.Modules = append(j.Modules, name)
	}
	for _, name := range o.Files {
		if err := carry(a, &j, o.abs(name)); err != nil {
			return err
		}
	}
	text, err := json.Marshal(j)
	if err != nil {
		return fmt.Errorf("vm: %w", err)
	}
	a.file(jobFile, 0o644, text)
	return a.close()
}

// programs adds /init and the program, and returns the latter's path.
func programs(a *archive, o *Options) (string, error) {
	initText, err := os.ReadFile(o.Init)
	if err != nil {
		return "", fmt.Errorf("vm: %w", err)
	}
	first := programDir + filepath.Base(o.Init)
	a.file(first, 0o755, initText)
	a.link("/init", first)
	if o.Program == o.Init {
		return first, nil
	}
	text, err := os.ReadFile(o.Program)
	if err != nil {
		return "", fmt.Errorf("vm: %w", err)
	}
	path := programDir + filepath.Base(o.Program)
	a.file(path, 0o755, text)
	return path, nil
}

// carry adds one of the host's files at its own path.
func carry(a *archive, j *job, path string) error {
	st, err := os.Stat(path)
	if err != nil {
		return fmt.Errorf("vm: %w", err)
	}
	if !st.Mode().IsRegular() {
		return fmt.Errorf("vm: %s is no regular file", path)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("vm: %w", err)
	}
	if a.file(path, uint32(st.Mode().Perm()), data) {
		j.Carried = append(j.Carried, path)
	}
	return nil
}

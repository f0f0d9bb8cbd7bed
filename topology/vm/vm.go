// Package vm runs this program inside a small virtual machine whose kernel, a
// distribution's, has what the machine's own may lack: netem.
//
// Run fetches the kernel package (cached), packs an initramfs with the static
// program as /init, the kernel modules and the files that the arguments name, boots
// it under QEMU and streams the output. The guest's side is Init, which main calls
// when IsInit says so. Nothing is written on the host besides the cache and what
// is brought back: the initramfs is an anonymous file, the channel to the guest a
// pair of sockets, and the machine dies with its parent.
//
// The channel is a virtio serial port; see channel.go. The kernel's own console is
// kept only to explain a boot that failed.
package vm

import (
	"context"
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// ErrMissing says that this machine lacks something that Run needs; the error's
// text says what to install. The command exits with status 3 then.
var ErrMissing = errors.New("missing for a virtual machine")

// Options say what Run does.
type Options struct {
	Kernel  string   // series, "6.12" (the default) or "6.1"
	Program string   // the static program to run; "": this executable
	Init    string   // a static program whose main calls Init; "": this executable
	Args    []string // the program's arguments
	Dir     string   // working directory on both sides; "": the current one
	Files   []string // carried in at the same paths, relative ones below Dir
	Out     string   // directory that is brought back and replaces the host's; "": everything new below Dir
	Env     []string // NAME=value, besides a fixed minimum
	MiB     int      // the machine's memory; 0: 1024

	Stdout, Stderr io.Writer // nil: discarded
	// Booted, if not nil, is told how long the machine took to reach the program,
	// its kernel's release and the accelerator (kvm or tcg).
	Booted func(took time.Duration, release, accel string)
}

// Run runs a program in a virtual machine and returns its exit status (128 and the
// signal's number if it died by one). An error means that there was no such run:
// it wraps ErrMissing if something has to be installed, or ctx's error.
func Run(ctx context.Context, o Options) (exit int, err error) {
	if err := o.complete(); err != nil {
		return 0, err
	}
	qemu, err := exec.LookPath("qemu-system-x86_64")
	if err != nil {
		return 0, fmt.Errorf("%w: qemu-system-x86_64 (apt-get install qemu-system-x86)", ErrMissing)
	}
	if err := checkOut(o.Out); err != nil {
		return 0, err
	}
	k, err := findKernel(ctx, o.Kernel)
	if err != nil {
		return 0, err
	}
	initrd, err := pack(&o, k)
	if err != nil {
		return 0, err
	}
	defer initrd.Close()
	return boot(ctx, &o, machine{qemu: qemu, kernel: k.image, initrd: initrd, mib: o.MiB})
}

// complete fills in the defaults and checks the programs.
func (o *Options) complete() error {
	if o.Kernel == "" {
		o.Kernel = "6.12"
	}
	if o.MiB == 0 {
		o.MiB = 1024
	}
	var err error
	if o.Dir == "" {
		o.Dir = "."
	}
	if o.Dir, err = filepath.Abs(o.Dir); err != nil {
		return fmt.Errorf("vm: %w", err)
	}
	if o.Out != "" {
		o.Out = o.abs(o.Out)
	}
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("vm: %w", err)
	}
	for _, p := range []*string{&o.Program, &o.Init} {
		if *p == "" {
			*p = self
		}
		if err := checkStatic(*p); err != nil {
			return err
		}
	}
	return nil
}

func (o *Options) abs(path string) string {
	if filepath.IsAbs(path) {
		return filepath.Clean(path)
	}
	return filepath.Join(o.Dir, path)
}

// checkStatic refuses a program that needs a loader: the machine has no libraries.
func checkStatic(path string) error {
	f, err := elf.Open(path)
	if err != nil {
		return fmt.Errorf("vm: %s: %w", path, err)
	}
	defer f.Close()
	if f.Machine != elf.EM_X86_64 {
		return fmt.Errorf("%w: %s is built for %s, the machine is x86-64 (GOARCH=amd64 go build)", ErrMissing, path, f.Machine)
	}
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP {
			return fmt.Errorf("%w: a static program: %s is linked dynamically (build it with CGO_ENABLED=0)", ErrMissing, path)
		}
	}
	return nil
}

// Named returns the arguments that name regular files, below dir if relative, and
// the directory that --out names, "" if none does: what to carry in and to
// bring back. Of an argument --flag=value the value counts.
func Named(dir string, args []string) (files []string, out string) {
	for i, a := range args {
		value := a
		if flag, v, ok := strings.Cut(a, "="); ok && strings.HasPrefix(a, "-") {
			value = v
			if flag == "--out" {
				out = v
				continue
			}
		}
		if i > 0 && args[i-1] == "--out" {
			out = a
			continue
		}
		path := value
		if !filepath.IsAbs(path) {
			path = filepath.Join(dir, path)
		}
		if st, err := os.Stat(path); err == nil && st.Mode().IsRegular() {
			files = append(files, value)
		}
	}
	return files, out
}

package vm

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// A machine is what QEMU needs to know.
type machine struct {
	qemu, kernel string
	initrd       *os.File
	mib          int
}

// How long a machine may take to come up, in real time. Where KVM works it takes
// about a second; where it opens but guests hang, as under some hypervisors, this is
// what trying it costs.
const (
	kvmPatience = 6 * time.Second
	tcgPatience = 90 * time.Second
)

// errBoot says that a machine did not come up.
var errBoot = errors.New("vm: the machine did not boot")

// boot runs the machine, with KVM if that works.
func boot(ctx context.Context, o *Options, m machine) (int, error) {
	if f, err := os.OpenFile("/dev/kvm", os.O_RDWR, 0); err == nil {
		f.Close()
		exit, err := m.run(ctx, o, "kvm", kvmPatience)
		if !errors.Is(err, errBoot) {
			return exit, err
		}
	}
	return m.run(ctx, o, "tcg", tcgPatience)
}

// arguments returns QEMU's command line. Descriptor 3 is the channel, 4 the initramfs.
func (m *machine) arguments(accel string) []string {
	cpu := "max"
	acceleration := "tcg,thread=single"
	if accel == "kvm" {
		cpu, acceleration = "host", "kvm"
	}
	return []string{
		"-M", "q35", "-accel", acceleration, "-smp", "1", "-cpu", cpu, "-m", strconv.Itoa(m.mib),
		"-nodefaults", "-no-user-config", "-no-reboot", "-display", "none", "-monitor", "none", "-serial", "stdio",
		"-chardev", "socket,id=results,fd=3",
		"-device", "virtio-serial-pci",
		"-device", "virtserialport,chardev=results,name=" + portName,
		"-kernel", m.kernel, "-initrd", "/proc/self/fd/4",
		// An assignment without a dot that the kernel does not know becomes part
		// of init's environment.
		"-append", "console=ttyS0 quiet panic=-1 tsc=reliable random.trust_cpu=on mitigations=off " + guestMark + "=1",
	}
}

// run starts QEMU and follows the guest to its end. The error wraps errBoot if the
// guest did not say hello within patience.
func (m *machine) run(parent context.Context, o *Options, accel string, patience time.Duration) (int, error) {
	ctx, stop := context.WithCancel(parent)
	defer stop()
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, fmt.Errorf("vm: socket pair: %w", err)
	}
	ours, theirs := os.NewFile(uintptr(pair[0]), "channel"), os.NewFile(uintptr(pair[1]), "channel")
	defer ours.Close()

	console := &tail{max: 64 << 10}
	cmd := exec.CommandContext(ctx, m.qemu, m.arguments(accel)...)
	cmd.Stdout, cmd.Stderr = console, console
	cmd.ExtraFiles = []*os.File{theirs, m.initrd}
	// Not even kill -9 may leave a machine behind. The kernel sends the signal when
	// the thread that started it ends, so the thread must not end before.
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	started := time.Now()
	err = cmd.Start()
	theirs.Close()
	if err != nil {
		return 0, fmt.Errorf("vm: %w", err)
	}
	// Reading ends when QEMU ends, on whose side the socket then closes.
	watchdog := time.AfterFunc(patience, stop)
	defer watchdog.Stop()
	g := guest{o: o, accel: accel, started: started, stopWatch: func() { watchdog.Stop() }}
	exit, err := g.follow(ours)
	stop()
	_ = cmd.Wait() // killed: its status says nothing
	switch {
	case err == nil:
		return exit, nil
	case parent.Err() != nil:
		return 0, parent.Err()
	case g.release == "":
		return 0, fmt.Errorf("%w under %s: %s", errBoot, accel, console.explain())
	}
	return 0, fmt.Errorf("%w; its console:\n%s", err, console.explain())
}

// tail keeps the end of what is written: the guest's console.
type tail struct {
	mu  sync.Mutex
	b   []byte
	max int
}

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.b = append(t.b, p...)
	if len(t.b) > t.max {
		t.b = append(t.b[:0], t.b[len(t.b)-t.max:]...)
	}
	return len(p), nil
}

// explain returns the last lines of the console.
func (t *tail) explain() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	lines := strings.Split(strings.TrimSpace(string(bytes.ToValidUTF8(t.b, nil))), "\n")
	return strings.Join(lines[max(0, len(lines)-15):], "\n")
}

var _ io.Writer = (*tail)(nil)

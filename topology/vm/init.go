package vm

import (
	"archive/tar"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// guestMark is set in the environment of the guest's init.
const guestMark = "MPTCPLAB_GUEST"

// IsInit reports whether this process is the init of a machine that Run booted. A
// program that may be Options.Init asks first of all in main, and calls Init if so.
func IsInit() bool { return os.Getpid() == 1 && os.Getenv(guestMark) != "" }

// Init is the guest's side of Run: it prepares the machine, runs the program, hands
// back output and results, and switches the machine off. It never returns.
func Init() {
	defer off()
	defer func() {
		// A panic of init is the kernel's panic, which says less.
		if r := recover(); r != nil {
			fmt.Printf("init: %v\n%s", r, debug.Stack())
		}
	}()
	if err := initialise(); err != nil {
		fmt.Println("init:", err) // to the console, which Run shows
	}
}

// off ends the machine: QEMU takes a restart for the end.
func off() {
	unix.Sync()
	time.Sleep(100 * time.Millisecond) // for the console to get out
	_ = unix.Reboot(unix.LINUX_REBOOT_CMD_RESTART)
	select {}
}

func initialise() error {
	if err := mountAll(); err != nil {
		return err
	}
	text, err := os.ReadFile(jobFile)
	if err != nil {
		return err
	}
	var j job
	if err := json.Unmarshal(text, &j); err != nil {
		return err
	}
	var complaints []string
	for _, m := range j.Modules {
		if err := insert(m); err != nil {
			complaints = append(complaints, err.Error())
		}
	}
	if err := os.RemoveAll(moduleDir); err != nil { // their memory is better used otherwise
		return err
	}
	port, err := openPort()
	if err != nil {
		return errors.Join(append([]error{err}, asErrors(complaints)...)...)
	}
	s := &sender{w: port}
	if err := s.send(frameHello, []byte(release()+" "+strconv.FormatInt(uptime().Milliseconds(), 10))); err != nil {
		return err
	}
	for _, c := range complaints {
		fmt.Fprintln(stream{s, frameStderr}, "vm:", c)
	}
	exit := 127
	if err := loopbackUp(); err != nil {
		fmt.Fprintln(stream{s, frameStderr}, "vm:", err)
	}
	if exit, err = start(&j, s); err != nil {
		fmt.Fprintln(stream{s, frameStderr}, "vm:", err)
	}
	if err := bringBack(&j, s); err != nil {
		fmt.Fprintln(stream{s, frameStderr}, "vm: results:", err)
	}
	return s.send(frameExit, []byte(strconv.Itoa(exit)))
}

func asErrors(texts []string) []error {
	list := make([]error, len(texts))
	for i, t := range texts {
		list[i] = errors.New(t)
	}
	return list
}

func mountAll() error {
	for _, m := range []struct{ kind, dir, data string }{
		{"devtmpfs", "/dev", ""}, {"proc", "/proc", ""}, {"sysfs", "/sys", ""},
	} {
		if err := unix.Mount(m.kind, m.dir, m.kind, 0, m.data); err != nil && !errors.Is(err, unix.EBUSY) {
			return fmt.Errorf("mount %s: %w", m.dir, err)
		}
	}
	for _, m := range []struct{ kind, dir, data string }{
		{"devpts", "/dev/pts", "mode=620"}, {"tmpfs", "/dev/shm", "mode=1777"},
	} {
		if err := os.MkdirAll(m.dir, 0o755); err != nil {
			return err
		}
		if err := unix.Mount(m.kind, m.dir, m.kind, 0, m.data); err != nil {
			return fmt.Errorf("mount %s: %w", m.dir, err)
		}
	}
	// Nothing is mounted on /tmp: files may have been carried in below it, and all
	// is memory anyway. The archive cannot say the sticky bit.
	return os.Chmod("/tmp", 0o777|os.ModeSticky)
}

// insert loads a kernel module.
func insert(file string) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	err = unix.FinitModule(int(f.Fd()), "", 0)
	if err != nil && !errors.Is(err, unix.EEXIST) {
		return fmt.Errorf("module %s: %w", filepath.Base(file), err)
	}
	return nil
}

// openPort opens the virtio serial port to the host, which appears some time after
// its driver.
func openPort() (*os.File, error) {
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		names, _ := filepath.Glob("/sys/class/virtio-ports/*/name") // the pattern is well-formed
		for _, n := range names {
			text, err := os.ReadFile(n)
			if err == nil && strings.TrimSpace(string(text)) == portName {
				return os.OpenFile("/dev/"+filepath.Base(filepath.Dir(n)), os.O_RDWR, 0)
			}
		}
		if time.Now().After(deadline) {
			return nil, fmt.Errorf("no virtio serial port %s", portName)
		}
	}
}

func release() string {
	var u unix.Utsname
	if unix.Uname(&u) != nil {
		return "unknown"
	}
	return unix.ByteSliceToString(u.Release[:])
}

func uptime() time.Duration {
	var ts unix.Timespec
	if unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts) != nil {
		return 0
	}
	return time.Duration(ts.Nano())
}

func loopbackUp() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("loopback: %w", err)
	}
	defer unix.Close(fd)
	ifr, err := unix.NewIfreq("lo")
	if err != nil {
		return fmt.Errorf("loopback: %w", err)
	}
	ifr.SetUint16(unix.IFF_UP)
	if err := unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, ifr); err != nil {
		return fmt.Errorf("loopback: %w", err)
	}
	return nil
}

// start runs the program, streams its output and returns its exit status.
func start(j *job, s *sender) (int, error) {
	var files [3]*os.File
	null, err := os.OpenFile(os.DevNull, os.O_RDONLY, 0)
	if err != nil {
		return 127, err
	}
	files[0] = null
	var copies sync.WaitGroup
	for i, kind := range []byte{frameStdout, frameStderr} {
		r, w, err := os.Pipe()
		if err != nil {
			return 127, err
		}
		files[i+1] = w
		copies.Go(func() { _, _ = io.Copy(stream{s, kind}, r) }) // ends with the last writer
	}
	p, err := os.StartProcess(j.Program, append([]string{j.Program}, j.Args...), &os.ProcAttr{
		Dir:   j.Dir,
		Env:   append([]string{"PATH=/bin", "HOME=/root", "TMPDIR=/tmp", "LANG=C.UTF-8"}, j.Env...),
		Files: files[:],
	})
	for _, f := range files {
		f.Close()
	}
	exit := 127
	if err == nil {
		exit, err = reap(p.Pid)
	}
	_ = unix.Kill(-1, unix.SIGKILL) // what it left running: all but us
	copies.Wait()
	return exit, err
}

// reap waits for the process pid, and as init does for all others that end meanwhile.
func reap(pid int) (exit int, err error) {
	for {
		var st unix.WaitStatus
		got, err := unix.Wait4(-1, &st, 0, nil)
		switch {
		case errors.Is(err, unix.EINTR):
		case err != nil:
			return 127, fmt.Errorf("wait: %w", err)
		case got != pid:
		case st.Signaled():
			return 128 + int(st.Signal()), nil
		case st.Exited():
			return st.ExitStatus(), nil
		}
	}
}

// bringBack sends everything below the result directory, except what was carried in,
// as a tar archive with absolute names.
func bringBack(j *job, s *sender) error {
	if _, err := os.Stat(j.Results); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	carried := make(map[string]bool)
	for _, c := range j.Carried {
		carried[c] = true
	}
	out := tar.NewWriter(stream{s, frameTar})
	err := filepath.WalkDir(j.Results, func(path string, d fs.DirEntry, err error) error {
		if err != nil || path == j.Results || carried[path] {
			return err
		}
		if kind := d.Type(); kind != 0 && kind != fs.ModeDir {
			return nil
		}
		return addResult(out, path, d)
	})
	if err != nil {
		return err
	}
	return out.Close()
}

func addResult(out *tar.Writer, path string, d fs.DirEntry) error {
	st, err := d.Info()
	if err != nil {
		return err
	}
	h, err := tar.FileInfoHeader(st, "")
	if err != nil {
		return err
	}
	h.Name = path
	if err := out.WriteHeader(h); err != nil || d.IsDir() {
		return err
	}
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = io.Copy(out, f)
	return err
}

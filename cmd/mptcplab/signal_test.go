package main

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"mptcplab/topology/netns"
)

// interrupt starts mptcplab, at a terminal, on a run that ends and one that does
// not by itself, signals it in the midst of that, and returns its status and what
// it said. It comes back when the last process that has the terminal is gone.
func interrupt(t *testing.T, sig os.Signal, args ...string) (status int, stdout, stderr string) {
	t.Helper()
	inFolder(t, edited(t, "pairings:", "params: {size: 0B}\nsweep: {size: [1MB, 1000000MB]}\ntimeout: 1000h\npairings:", "download: 1MB", "download: $size", "bytes == 1MB", "bytes == $size"))
	c := process(t.Context(), append([]string{"run", "s.yaml", "--out", "out", "--pcap", "none"}, args...)...)
	c.Env = append(c.Env, "TERM=xterm")
	keyboard, screen := openTerminal(t)
	var out, errs strings.Builder
	c.Stdout, c.Stderr = &out, screen
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	screen.Close()
	under := regexp.MustCompile(`\[2/2\] \S+  [1-9]`) // its first second is over
	var signalled time.Time
	for b := make([]byte, 1<<16); ; {
		n, err := keyboard.Read(b)
		if err != nil {
			break // EIO: nobody has the other side any more
		}
		errs.Write(b[:n])
		if signalled.IsZero() && under.MatchString(errs.String()) {
			signalled = time.Now()
			if err := c.Process.Signal(sig); err != nil {
				t.Error(err)
			}
		}
	}
	_ = c.Wait() // its status is what is looked at
	t.Logf("%v: over after %v", sig, time.Since(signalled))
	return c.ProcessState.ExitCode(), out.String(), errs.String()
}

// openTerminal makes a pseudo-terminal: the side of who sits there, and the side of
// the programs (pty(7)).
func openTerminal(t *testing.T) (keyboard, screen *os.File) {
	t.Helper()
	keyboard, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("SKIPPED: no pseudo-terminals here: %v", err)
	}
	t.Cleanup(func() { keyboard.Close() })
	if err := unix.IoctlSetPointerInt(int(keyboard.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(int(keyboard.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	screen, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("SKIPPED: no pseudo-terminals here: %v", err)
	}
	t.Cleanup(func() { screen.Close() }) // once more does no harm
	return keyboard, screen
}

// demandNamespaces skips a test where there are no namespaces, unless they are
// required.
func demandNamespaces(t *testing.T) {
	t.Helper()
	if err := netns.Available(); err != nil {
		if os.Getenv("MPTCPLAB_NETNS") == "required" {
			t.Fatal(err)
		}
		t.Skipf("SKIPPED: no network namespaces here: %v", err)
	}
}

const interrupted = "mptcplab: interrupted; what was measured so far is written"

// SIGINT ends with 130, SIGTERM with 143, and what was measured so far is written
// and shown: the run that was over, and the beginning of the other.
func TestSignals(t *testing.T) {
	for _, c := range []struct {
		sig    os.Signal
		status int
	}{
		{syscall.SIGINT, exitInterrupted},
		{syscall.SIGTERM, exitTerminated},
	} {
		status, stdout, stderr := interrupt(t, c.sig, "--only", "pairing=ours")
		if status != c.status || !strings.Contains(stderr, interrupted) {
			t.Errorf("%v: status %d, want %d; stderr %s", c.sig, status, c.status, stderr)
		}
		r := results(t, "out")
		if !r.Interrupted || r.Pass || ids(r) != "ours/size=1MB/seed=3 ours/size=1000000MB/seed=3" {
			t.Fatalf("%v: interrupted %v, pass %v, runs %s", c.sig, r.Interrupted, r.Pass, ids(r))
		}
		first, second := r.Runs[0].Flows[0], r.Runs[1].Flows[0]
		if !first.Intact || second.Finished || second.Bytes == 0 || r.Runs[1].Error != "" {
			t.Errorf("%v: first %+v, second %+v", c.sig, first, second)
		}
		if !strings.Contains(stdout, "not finished") || !strings.Contains(stdout, "written: out/result.json") {
			t.Errorf("%v: stdout %s", c.sig, stdout)
		}
	}
}

// The same in real time on namespaces, also where the command started itself again
// in a user namespace.
func TestSignalsNetns(t *testing.T) {
	demandNamespaces(t)
	status, _, stderr := interrupt(t, syscall.SIGINT, "--only", "pairing=ours", "--fabric", "netns", "--impair", "relay")
	if status != exitInterrupted || !strings.Contains(stderr, interrupted) {
		t.Errorf("status %d, want 130; stderr %s", status, stderr)
	}
	r := results(t, "out")
	if !r.Interrupted || r.Pass || len(r.Runs) == 0 || !r.Runs[0].Flows[0].Intact {
		t.Errorf("interrupted %v, pass %v, runs %+v", r.Interrupted, r.Pass, r.Runs)
	}
}

// SIGKILL in mid-run leaves no namespace, link, process or file outside --out, and
// the next run takes the place of what is in it.
func TestKill(t *testing.T) {
	demandNamespaces(t)
	pairing := "pairing=ours"
	if netns.KernelMPTCP() {
		pairing = "pairing=linux" // with an application on kernel sockets
	}
	t.Setenv("TMPDIR", t.TempDir())
	t.Setenv("MPTCPLAB_TEST_MARK", t.Name()) // by which its processes are known
	links := strings.Join(names(t, "/sys/class/net"), " ")
	status, stdout, _ := interrupt(t, syscall.SIGKILL, "--only", pairing, "--fabric", "netns", "--impair", "relay")
	if status != -1 && status != 128+int(syscall.SIGKILL) || stdout != "" {
		t.Fatalf("it was not killed: status %d, stdout %s", status, stdout)
	}
	if now := strings.Join(names(t, "/sys/class/net"), " "); now != links {
		t.Errorf("links before %s, now %s", links, now)
	}
	if _, err := os.Stat("/run/netns"); err == nil && len(names(t, "/run/netns")) > 0 {
		t.Errorf("named namespaces: %v", names(t, "/run/netns"))
	}
	for _, pid := range names(t, "/proc") {
		environ, err := os.ReadFile("/proc/" + pid + "/environ")
		if err == nil && strings.Contains(string(environ), "MPTCPLAB_TEST_MARK="+t.Name()) && pid != fmt.Sprint(os.Getpid()) {
			t.Errorf("process %s is left", pid)
		}
	}
	if left := names(t, os.Getenv("TMPDIR")); len(left) > 0 {
		t.Errorf("files %v are left", left)
	}
	if here := strings.Join(names(t, "."), " "); here != "out s.yaml" {
		t.Errorf("here are %s", here)
	}
	if _, stderr := must(t, exitUsage, "plot", "out"); !strings.Contains(stderr, "the run has not finished") {
		t.Error(stderr)
	}
	put(t, "s.yaml", twoPaths)
	must(t, 0, "run", "s.yaml", "--out", "out", "--no-plots")
	if !results(t, "out").Pass {
		t.Error("the next run does not pass")
	}
}

// names lists a folder.
func names(t *testing.T, dir string) (list []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		list = append(list, e.Name())
	}
	return list
}

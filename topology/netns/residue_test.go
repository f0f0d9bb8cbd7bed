package netns

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// victim makes the test binary build a lab, say so, and wait to be killed.
const victim = "MPTCPLAB_TEST_VICTIM"

func beVictim() int {
	l, err := Build(context.Background(), handover(4, 6), Options{
		Userspace: func(n string) bool { return n == "phone" },
		Relayed:   func(n string) bool { return n == "wifi" },
	})
	if err != nil {
		fmt.Println(err)
		return 1
	}
	child := exec.Command("sleep", "1000")
	if err := l.Node("server").Start(child); err != nil {
		fmt.Println(err)
		return 1
	}
	dev, err := l.Device("phone", "wifi")
	if err != nil {
		fmt.Println(err)
		return 1
	}
	inode := func(n *Node) (s string) {
		if err := n.Do(func() (err error) {
			s, err = os.Readlink("/proc/thread-self/ns/net")
			return err
		}); err != nil {
			return err.Error()
		}
		return s
	}
	fmt.Println("built", child.Process.Pid, inode(l.Node("server")), inode(l.Node("phone")))
	wait := []unix.PollFd{{Fd: int32(dev.Fd())}}
	for {
		_, _ = unix.Poll(wait, -1)
	}
}

// TestKilledProcessLeavesNothing kills a process with a lab and a child in it, and
// finds that namespaces and child are gone: links live in the namespaces alone.
func TestKilledProcessLeavesNothing(t *testing.T) {
	needNamespaces(t)
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), victim+"=1")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Wait()
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	var child int
	var server, phone string
	if n, _ := fmt.Sscan(strings.TrimPrefix(line, "built "), &child, &server, &phone); n != 3 {
		_ = cmd.Process.Kill()
		t.Fatalf("the victim said %q", line)
	}
	if holders(t, server) == 0 || holders(t, phone) == 0 {
		t.Errorf("nobody holds the namespaces while the lab stands: the test shows nothing")
	}
	pidfd, err := unix.PidfdOpen(child, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(pidfd)
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	// The child is killed by the kernel when its parent thread ends.
	fds := []unix.PollFd{{Fd: int32(pidfd), Events: unix.POLLIN}}
	if n, err := unix.Poll(fds, 10_000); n != 1 || err != nil {
		t.Errorf("the child still lives: poll %d, %v", n, err)
	}
	if n := holders(t, server) + holders(t, phone); n != 0 {
		t.Errorf("%d threads or descriptors still hold the lab's namespaces", n)
	}
	if entries, err := os.ReadDir("/run/netns"); err == nil && len(entries) > 0 {
		for _, e := range entries {
			t.Logf("/run/netns/%s (not ours)", e.Name())
		}
	}
}

// holders counts the threads that are in a namespace and the descriptors for it.
func holders(t *testing.T, namespace string) (n int) {
	t.Helper()
	procs, err := os.ReadDir("/proc")
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range procs {
		if p.Name()[0] < '0' || p.Name()[0] > '9' {
			continue
		}
		tasks, err := os.ReadDir("/proc/" + p.Name() + "/task")
		if err != nil && !errors.Is(err, os.ErrNotExist) && !errors.Is(err, unix.ESRCH) {
			t.Fatal(err)
		}
		for _, k := range tasks {
			if s, err := os.Readlink("/proc/" + p.Name() + "/task/" + k.Name() + "/ns/net"); err == nil && s == namespace {
				n++
			}
		}
		fds, _ := os.ReadDir("/proc/" + p.Name() + "/fd") // others' may be closed to us
		for _, f := range fds {
			if s, err := os.Readlink("/proc/" + p.Name() + "/fd/" + f.Name()); err == nil && s == namespace {
				n++
			}
		}
	}
	return n
}

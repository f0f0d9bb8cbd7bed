// Package nstest gives a test a network namespace of its own.
package nstest

import (
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

const inside = "MPTCPLAB_TEST_NAMESPACE"

// missing ends a test for which the machine lacks something: it skips, or fails where
// MPTCPLAB_NETNS says that namespaces are required.
func missing(t *testing.T, format string, args ...any) {
	t.Helper()
	if os.Getenv("MPTCPLAB_NETNS") == "required" {
		t.Fatalf(format, args...)
	}
	t.Skipf("NOT TESTED: "+format, args...)
}

// Enter moves the calling goroutine's thread into a fresh network namespace, which is
// gone when the test ends. Without root it runs the test once more, in a child with
// a user namespace, and returns false: the caller returns then. Where neither is
// possible it skips.
func Enter(t *testing.T) bool {
	t.Helper()
	if os.Geteuid() != 0 && os.Getenv(inside) == "" {
		rerun(t)
		return false
	}
	// Never unlocked: the thread ends with the goroutine, and the namespace with it.
	runtime.LockOSThread()
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		missing(t, "no network namespace: %v", err)
	}
	return true
}

// rerun runs the calling test alone in a user namespace where it is root.
func rerun(t *testing.T) {
	t.Helper()
	cmd := exec.Command("/proc/self/exe", "-test.run=^"+t.Name()+"$", "-test.v")
	cmd.Env = append(os.Environ(), inside+"=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNET,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}},
	}
	out, err := cmd.CombinedOutput()
	if _, exited := err.(*exec.ExitError); err != nil && !exited {
		missing(t, "neither root nor user namespaces: %v", err)
	}
	if err != nil {
		t.Fatalf("in a user namespace: %v\n%s", err, out)
	}
	t.Logf("in a user namespace:\n%s", out)
}

// Veth makes a pair of connected interfaces in the namespace of the calling thread,
// up and silent, and returns their indexes.
func Veth(t *testing.T, a, b string) (int, int) {
	t.Helper()
	// No neighbour discovery: only the test's frames are on the wire.
	if err := os.WriteFile("/proc/sys/net/ipv6/conf/default/disable_ipv6", []byte("1"), 0); err != nil {
		// /proc may be that of another namespace; then tests must bear the noise.
		t.Logf("IPv6 stays on: %v", err)
	}
	attrs := netlink.NewLinkAttrs()
	attrs.Name = a
	if err := netlink.LinkAdd(&netlink.Veth{LinkAttrs: attrs, PeerName: b}); err != nil {
		missing(t, "no veth: %v", err)
	}
	var index [2]int
	for i, name := range []string{a, b} {
		l, err := netlink.LinkByName(name)
		if err != nil {
			t.Fatal(err)
		}
		if err := netlink.LinkSetUp(l); err != nil {
			t.Fatal(err)
		}
		index[i] = l.Attrs().Index
	}
	waitRunning(t, index)
	return index[0], index[1]
}

// waitRunning waits until both interfaces have their carrier, which the kernel tells
// some time after they are up.
func waitRunning(t *testing.T, index [2]int) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		running := 0
		for _, i := range index {
			l, err := netlink.LinkByIndex(i)
			if err != nil {
				t.Fatal(err)
			}
			if l.Attrs().OperState == netlink.OperUp {
				running++
			}
		}
		if running == len(index) {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("the veth pair does not come up")
		}
	}
}

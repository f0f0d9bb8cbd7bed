package netns

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"syscall"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"mptcplab/mptcp/link"
)

// entered marks the child of Enter, so that it is started once.
const entered = "MPTCPLAB_USERNS"

// Privileged reports whether this process may build labs as it is.
func Privileged() bool {
	hdr := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if unix.Capget(&hdr, &data[0]) != nil {
		return false
	}
	const need = 1<<unix.CAP_SYS_ADMIN | 1<<unix.CAP_NET_ADMIN | 1<<unix.CAP_NET_RAW
	return data[0].Effective&need == need
}

// InUserNamespace reports whether this process got its privileges from Enter. Some
// settings of the machine can't be changed then (see Lab.SetCongestionControl).
func InUserNamespace() bool { return os.Getenv(entered) != "" }

// Enter gives an ordinary user the privileges to build labs: it runs this program
// again, once, with the same arguments and files, in a user namespace of its own in
// which the user is root, and waits for it. When done is true, that happened, and the
// caller is to exit with code. When done is false and err nil, the process is
// privileged already and goes on. Call it before anything else happens.
func Enter() (code int, done bool, err error) {
	if Privileged() {
		return 0, false, nil
	}
	if InUserNamespace() {
		return 0, false, errors.New("netns: the user namespace gives no privileges over networks")
	}
	cmd := exec.Command("/proc/self/exe", os.Args[1:]...)
	cmd.Args[0] = os.Args[0]
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.Env = append(os.Environ(), entered+"=1")
	cmd.SysProcAttr = userNamespace()

	// The kernel sends Pdeathsig when the thread that started the child ends.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, unix.SIGINT, unix.SIGTERM, unix.SIGHUP, unix.SIGQUIT)
	defer signal.Stop(signals)
	if err := cmd.Start(); err != nil {
		return 0, false, noUserNamespace(err)
	}
	forwarded := make(chan struct{})
	ended := make(chan struct{})
	go func() {
		defer close(forwarded)
		for {
			select {
			case s := <-signals:
				// A terminal's Ctrl-C reaches the whole group, the child too; it
				// takes a second one of the same kind as the first.
				_ = cmd.Process.Signal(s)
			case <-ended:
				return
			}
		}
	}()
	err = cmd.Wait()
	close(ended)
	<-forwarded
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return 0, false, fmt.Errorf("netns: %w", err)
	}
	if status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		return 128 + int(status.Signal()), true, nil // as shells do
	}
	return cmd.ProcessState.ExitCode(), true, nil
}

// userNamespace asks for new user, network and mount namespaces in which the
// present user is root.
func userNamespace() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{
		Cloneflags:  unix.CLONE_NEWUSER | unix.CLONE_NEWNET | unix.CLONE_NEWNS,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Geteuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getegid(), Size: 1}},
		Pdeathsig:   unix.SIGKILL,
	}
}

func noUserNamespace(err error) error {
	return fmt.Errorf("netns: not root, and no user namespace: %w (see user.max_user_namespaces, "+
		"kernel.unprivileged_userns_clone, kernel.apparmor_restrict_unprivileged_userns)", err)
}

// Available says what keeps this process, or its Enter, from building labs; nil if
// nothing does. It leaves nothing behind.
func Available() error {
	if !Privileged() {
		return userNamespacesWork()
	}
	t, err := newThread()
	if err != nil {
		return err
	}
	defer t.close()
	return t.do(func() error {
		attrs := netlink.NewLinkAttrs()
		attrs.Name = "probe0"
		err := netlink.LinkAdd(&netlink.Veth{LinkAttrs: attrs, PeerName: "probe1"})
		if err != nil {
			return fmt.Errorf("netns: the kernel makes no veth pair: %w", err)
		}
		dev, err := link.OpenEthernet("probe0")
		if err != nil {
			return fmt.Errorf("netns: no AF_PACKET: %w", err)
		}
		return dev.Close()
	})
}

// userNamespacesWork tries with a program that does nothing.
func userNamespacesWork() error {
	path, err := exec.LookPath("true")
	if err != nil {
		return fmt.Errorf("netns: not root, and no program to try a user namespace with: %w", err)
	}
	cmd := exec.Command(path)
	cmd.SysProcAttr = userNamespace()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := cmd.Run(); err != nil {
		return noUserNamespace(err)
	}
	return nil
}

// KernelMPTCP reports whether this machine's kernel speaks MPTCP.
func KernelMPTCP() bool {
	_, err := os.Stat("/proc/sys/net/mptcp/enabled")
	return err == nil
}

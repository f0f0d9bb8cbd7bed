// Package doctor examines what this machine offers to the lab, and says what stands
// in for what it lacks. It tries things rather than reading versions, in a network
// namespace of its own, and leaves nothing behind.
package doctor

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"text/tabwriter"

	"golang.org/x/sys/unix"

	"mptcplab/topology/netns"
)

// A Finding is one thing that was looked for.
type Finding struct {
	Name    string
	OK      bool
	Detail  string // what is there, or why it is not
	Instead string // if not OK: what stands in, or what to do
}

// errUnprivileged is why something could not be tried.
var errUnprivileged = errors.New("not tried: needs root or a user namespace")

// Examine looks at everything. It needs no privileges; what cannot be tried without
// them counts as missing. An ordinary user learns more if the process went through
// netns.Enter before.
func Examine() []Finding {
	list := []Finding{privileges(), userNamespaces()}
	var inside []Finding
	err := inNamespace(func() { inside = examineNamespace() })
	list = append(list, finding("network namespaces", err, "anonymous ones are freed by the kernel", "virtual time (--fabric virtual) needs none"))
	if err != nil {
		inside = unexamined(err)
	}
	list = append(list, inside...)
	return append(list, kernelMPTCP(), congestionControls(), qemu(), tshark())
}

// finding makes a finding of an error.
func finding(name string, err error, detail, instead string) Finding {
	if err != nil {
		return Finding{Name: name, Detail: err.Error(), Instead: instead}
	}
	return Finding{Name: name, OK: true, Detail: detail}
}

func privileges() Finding {
	switch {
	case netns.InUserNamespace():
		return Finding{Name: "root", Detail: "no, but root in a user namespace", Instead: "the user namespace; the machine's own settings stay as they are"}
	case netns.Privileged():
		return Finding{Name: "root", OK: true, Detail: "the process may build networks"}
	}
	return Finding{Name: "root", Detail: fmt.Sprintf("no (user %d)", os.Geteuid()), Instead: "a user namespace, if the next line allows"}
}

func userNamespaces() Finding {
	const name, instead = "user namespaces", "root, or virtual time (--fabric virtual)"
	if netns.InUserNamespace() {
		return Finding{Name: name, OK: true, Detail: "this process runs in one"}
	}
	for _, file := range []string{"user/max_user_namespaces", "kernel/unprivileged_userns_clone"} {
		text, err := os.ReadFile("/proc/sys/" + file)
		if err == nil && strings.TrimSpace(string(text)) == "0" {
			return Finding{Name: name, Detail: strings.ReplaceAll(file, "/", ".") + " is 0", Instead: instead}
		}
	}
	if netns.Privileged() {
		return Finding{Name: name, OK: true, Detail: "allowed (not needed as root)"}
	}
	return finding(name, netns.Available(), "they work", instead)
}

func kernelMPTCP() Finding {
	const name, instead = "kernel MPTCP", "the lab's own stack at both ends; `mptcplab vm run` for a kernel that has it"
	text, err := os.ReadFile("/proc/sys/net/mptcp/enabled")
	if err != nil {
		return Finding{Name: name, Detail: "the kernel has no net.mptcp", Instead: instead}
	}
	if strings.TrimSpace(string(text)) == "0" {
		return Finding{Name: name, Detail: "net.mptcp.enabled is 0", Instead: instead}
	}
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, unix.IPPROTO_MPTCP)
	if err != nil {
		return Finding{Name: name, Detail: "no MPTCP socket: " + err.Error(), Instead: instead}
	}
	unix.Close(fd)
	return Finding{Name: name, OK: true, Detail: "net.mptcp.enabled is 1, sockets work, scheduler " + sysctl("net/mptcp/scheduler", "default")}
}

// sysctl returns a setting, or otherwise if the kernel has it not.
func sysctl(name, otherwise string) string {
	text, err := os.ReadFile("/proc/sys/" + name)
	if err != nil {
		return otherwise
	}
	return strings.TrimSpace(string(text))
}

// congestionControls are those of kernel stacks: a scenario asks for cubic unless it
// says otherwise.
func congestionControls() Finding {
	available := sysctl("net/ipv4/tcp_available_congestion_control", "")
	allowed := sysctl("net/ipv4/tcp_allowed_congestion_control", "")
	f := Finding{Name: "kernel's cubic", Detail: fmt.Sprintf("available %q, allowed %q, default %q",
		available, allowed, sysctl("net/ipv4/tcp_congestion_control", ""))}
	has := func(list string) bool {
		return strings.Contains(" "+list+" ", " cubic ")
	}
	switch {
	case !has(available):
		f.Instead = "reno on kernel stacks, the result is marked degraded"
	case has(allowed), netns.Privileged() && !netns.InUserNamespace():
		f.OK = true
	default:
		f.Instead = "root allows it for the moment of the choice; else each socket is set, or reno and the result is marked degraded"
	}
	return f
}

func qemu() Finding {
	const name, instead = "qemu", "apt-get install qemu-system-x86, for `mptcplab vm run`; nothing else needs it"
	path, err := exec.LookPath("qemu-system-x86_64")
	if err != nil {
		return Finding{Name: name, Detail: "no qemu-system-x86_64", Instead: instead}
	}
	detail := path + ", without KVM (slow, but works)"
	if f, err := os.OpenFile("/dev/kvm", os.O_RDWR, 0); err == nil {
		f.Close()
		detail = path + ", /dev/kvm opens"
	}
	return Finding{Name: name, OK: true, Detail: detail}
}

func tshark() Finding {
	path, err := exec.LookPath("tshark")
	if err != nil {
		return Finding{Name: "tshark", Detail: "not installed", Instead: "apt-get install tshark, for the test that compares captures; nothing else needs it"}
	}
	return Finding{Name: "tshark", OK: true, Detail: path}
}

// Table returns findings as a table: what, whether, and why or what instead.
func Table(list []Finding) string {
	var b strings.Builder
	t := tabwriter.NewWriter(&b, 0, 8, 2, ' ', 0)
	for _, f := range list {
		mark := "yes"
		if !f.OK {
			mark = "no"
		}
		fmt.Fprintf(t, "%s\t%s\t%s\n", f.Name, mark, f.Detail)
		if f.Instead != "" {
			fmt.Fprintf(t, "\t\t-> %s\n", f.Instead)
		}
	}
	t.Flush() // a strings.Builder takes everything
	return b.String()
}

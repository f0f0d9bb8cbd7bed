package main

import (
	"bytes"
	"errors"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"mptcplab/topology/netns"
)

// endless is a run with everything that could be left behind: namespaces, a relay,
// plain links, a userspace host and a kernel host with its settings.
const endless = `name: endless
timeout: 1000h
topology:
  hosts: {phone, server: {stack: kernel-tcp}}
  routers: {router}
  links:
    wifi: {ends: [phone, router], rate: 50mbit, delay: 2ms}
    lte:  {ends: [phone, router], rate: 50mbit, delay: 2ms}
    lan:  {ends: [router, server]}
workloads:
  get: {type: bulk, client: phone.wifi, server: server, download: 1000000MB}
`

// mark is inherited by every process that a run starts, whoever its parent is later.
const mark = "MPTCPLAB_TEST_RESIDUE"

// endlessRun is a run that goes on until it is ended from outside.
type endlessRun struct {
	*exec.Cmd
	mark       string // NAME=VALUE in the environment of all its processes
	temporary  string // its folders for temporary files and for the user's
	interfaces []string
	mounts     []string
	names      []string
	stderr     bytes.Buffer
}

// startEndless starts the run in a folder of its own, and waits until it moves bytes.
func startEndless(t *testing.T) *endlessRun {
	t.Helper()
	if err := netns.Available(); err != nil {
		if os.Getenv("MPTCPLAB_NETNS") == "required" {
			t.Fatal(err)
		}
		t.Skipf("SKIPPED: no network namespaces here: %v", err)
	}
	inFolder(t, endless)
	r := &endlessRun{
		Cmd:        process(t.Context(), "run", "s.yaml", "--fabric", "netns", "--out", "out", "--quiet"),
		mark:       mark + "=" + strconv.Itoa(os.Getpid()) + t.Name(),
		temporary:  t.TempDir(),
		interfaces: interfaces(t), mounts: namespaceMounts(t), names: namedNamespaces(),
	}
	r.Env = append(r.Env, r.mark, "TMPDIR="+r.temporary, "HOME="+r.temporary)
	r.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // a terminal's Ctrl-C goes to the group
	r.Stderr = &r.stderr
	if err := r.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = r.Process.Kill()
		_ = r.Wait()
	})
	eventually(t, "the run moves bytes", func() bool {
		captures, _ := filepath.Glob("out/runs/*/*/packets.pcapng")
		more, _ := filepath.Glob("out/runs/*/packets.pcapng")
		for _, name := range append(captures, more...) {
			if info, err := os.Stat(name); err == nil && info.Size() > 1<<20 {
				return true
			}
		}
		return false
	})
	return r
}

// eventually waits until something holds.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for give := time.Now().Add(time.Minute); !holds(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(give) {
			t.Fatalf("after a minute it does not hold that %s", what)
		}
	}
}

// processes lists the processes of the run that live.
func (r *endlessRun) processes(t *testing.T) (pids []int) {
	t.Helper()
	entries, err := os.ReadDir("/proc")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		// A zombie's environment is empty, another user's closed to us.
		env, _ := os.ReadFile("/proc/" + e.Name() + "/environ")
		if slices.Contains(strings.Split(string(env), "\x00"), r.mark) {
			pids = append(pids, pid)
		}
	}
	return pids
}

// namespaces lists the network namespaces that the run's threads are in, without
// ours.
func (r *endlessRun) namespaces(t *testing.T) (list []string) {
	t.Helper()
	own, err := os.Readlink("/proc/thread-self/ns/net")
	if err != nil {
		t.Fatal(err)
	}
	for _, pid := range r.processes(t) {
		tasks, _ := filepath.Glob("/proc/" + strconv.Itoa(pid) + "/task/*/ns/net")
		for _, task := range tasks {
			if ns, err := os.Readlink(task); err == nil && ns != own && !slices.Contains(list, ns) {
				list = append(list, ns)
			}
		}
	}
	return list
}

// interfaces lists the network interfaces of our own namespace.
func interfaces(t *testing.T) (names []string) {
	t.Helper()
	list, err := net.Interfaces()
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range list {
		names = append(names, i.Name)
	}
	return names
}

// namespaceMounts lists the mounts that keep a namespace without a process.
func namespaceMounts(t *testing.T) (list []string) {
	t.Helper()
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(mounts)) {
		if strings.Contains(line, " - nsfs ") {
			list = append(list, line)
		}
	}
	return list
}

// namedNamespaces lists what "ip netns" would.
func namedNamespaces() (names []string) {
	entries, _ := os.ReadDir("/run/netns") // it need not be there
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// leftNothing checks that the run's processes are gone, and with them whatever keeps
// a namespace or a link; and that it wrote into its result directory only.
func (r *endlessRun) leftNothing(t *testing.T) {
	t.Helper()
	eventually(t, "all processes of the run are gone", func() bool { return len(r.processes(t)) == 0 })
	if got := interfaces(t); !slices.Equal(got, r.interfaces) {
		t.Errorf("interfaces %v, before %v", got, r.interfaces)
	}
	if got := namespaceMounts(t); !slices.Equal(got, r.mounts) {
		t.Errorf("mounted namespaces %q, before %q", got, r.mounts)
	}
	if got := namedNamespaces(); !slices.Equal(got, r.names) {
		t.Errorf("named namespaces %q, before %q", got, r.names)
	}
	for _, dir := range []string{".", r.temporary} {
		err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			switch {
			case err != nil:
				return err
			case path == dir, dir == "." && path == "s.yaml":
				return nil
			case dir == "." && path == "out":
				return filepath.SkipDir
			}
			t.Errorf("left behind: %s", path)
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	}
}

// A run that is killed leaves no namespace, link, process, nor file outside --out.
func TestKillLeavesNothing(t *testing.T) {
	r := startEndless(t)
	if n := len(r.namespaces(t)); n < 3 {
		t.Errorf("the run is in %d namespaces of its own: the test shows nothing", n)
	}
	// Namespaces end with the last thread or descriptor. Numbers are used again at
	// once, perhaps by somebody else's; so what is watched is who could hold them.
	var pidfds []unix.PollFd
	for _, pid := range r.processes(t) {
		fd, err := unix.PidfdOpen(pid, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer unix.Close(fd)
		pidfds = append(pidfds, unix.PollFd{Fd: int32(fd), Events: unix.POLLIN})
	}
	if len(pidfds) == 0 {
		t.Fatal("no process of the run was found: the test shows nothing")
	}
	if err := r.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = r.Wait() // its status: killed
	for _, p := range pidfds {
		n, err := unix.Poll([]unix.PollFd{p}, 60_000)
		for errors.Is(err, unix.EINTR) {
			n, err = unix.Poll([]unix.PollFd{p}, 60_000)
		}
		if n != 1 || err != nil {
			t.Errorf("a process of the run lives on: poll %d, %v", n, err)
		}
	}
	r.leftNothing(t)
	if _, err := os.Stat("out/result.json"); err == nil {
		t.Error("result.json of a killed run: it is to be written last")
	}
	if status, stdout, stderr := call("plot", "out"); status == 0 {
		t.Errorf("plots of a killed run: %s%s", stdout, stderr)
	}
}

// promptly is how soon a run ends after Ctrl-C. It is the only bound on real time
// among the tests: it is promised to the user. Of three tries the fastest counts,
// since the machine may be busy with something else.
const promptly = time.Second

// Ctrl-C ends a run in less than a second, with what was measured so far written.
func TestInterruptIsPrompt(t *testing.T) {
	fastest := time.Duration(1<<63 - 1)
	for try := 0; try < 3 && fastest >= promptly; try++ {
		r := startEndless(t)
		begin := time.Now()
		if err := syscall.Kill(-r.Process.Pid, syscall.SIGINT); err != nil {
			t.Fatal(err)
		}
		_ = r.Wait() // its status is looked at below
		took := time.Since(begin)
		t.Logf("ended %v after SIGINT", took)
		fastest = min(fastest, took)
		if s := r.ProcessState.ExitCode(); s != exitInterrupted {
			t.Errorf("status %d, want %d: %s", s, exitInterrupted, r.stderr.String())
		}
		res := results(t, "out")
		if !res.Interrupted || res.Pass || len(res.Runs) != 1 || res.Runs[0].Flows[0].DownloadBytes == 0 || res.Runs[0].Error != "" {
			t.Errorf("what was written: interrupted %v, pass %v, %+v", res.Interrupted, res.Pass, res.Runs)
		}
		r.leftNothing(t)
	}
	if fastest >= promptly {
		t.Errorf("the fastest of three took %v to end after SIGINT, want less than %v", fastest, promptly)
	}
}

package drill

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"
	"unsafe"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"mptcplab/mptcp/clock"
	"mptcplab/mptcp/tcp"
)

// TestScriptsOnKernel runs the project's scripts on the kernel's stack, in real time
// and each in a network namespace of its own and in its first mode: what they expect
// is what Linux does. Not on its own account: a machine that is busy breaks the scripts' times.
// DRILL_KERNEL=1 runs those in testdata, another value is a file or folder.
func TestScriptsOnKernel(t *testing.T) {
	where := os.Getenv("DRILL_KERNEL")
	switch where {
	case "":
		t.Skip("DRILL_KERNEL=1 runs the scripts on this machine's kernel (as root)")
	case "1":
		where = "testdata"
	}
	files, err := Find(where)
	if err != nil {
		t.Fatal(err)
	}
	if len(files) == 0 {
		t.Fatal("no scripts")
	}
	for _, f := range files {
		t.Run(short(f), func(t *testing.T) {
			if why := differs[filepath.ToSlash(f)]; why != "" {
				t.Skip(why)
			}
			t.Parallel()
			k, err := newKernelRun(f)
			if err != nil {
				t.Fatal(err)
			}
			k.history = filepath.Join(t.TempDir(), "nstat")
			err = k.execute()
			var unsupported *unsupportedError
			var syntax *SyntaxError // of a call that this runner does not have
			if errors.As(err, &unsupported) || errors.As(err, &syntax) {
				t.Skip(err)
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
}

// differs are the scripts of what RFC 8684 says and Linux 6.18 does otherwise.
var differs = map[string]string{
	"testdata/mptcp/fastopen/server.pkt":         "Linux's server sends nothing before it has the client's key (B.3)",
	"testdata/mptcp/fastopen/client_refused.pkt": "Linux sends the data again without a mapping (B.3)",
}

// kernelRun runs a script on the kernel: the packets of a run, with the kernel's
// sockets and a TUN device in place of the stack.
type kernelRun struct {
	*run
	tun     *os.File
	began   time.Time
	fds     map[int]int // of the script to those of the process
	heard   chan packet
	history string // file of nstat
	wait    *kernelCall
}

// kernelCall is a call that may block.
type kernelCall struct {
	call  *Call
	end   clock.Instant
	after func(n int) error
	done  chan kernelResult
}

type kernelResult struct {
	n   int
	err error
	at  clock.Instant
}

// newKernelRun enters a new namespace for good: the thread dies with the test.
func newKernelRun(file string) (*kernelRun, error) {
	src, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	return newKernelRunOf(file, string(src))
}

// newKernelRunOf is newKernelRun of a script that is no file.
func newKernelRunOf(file, src string) (*kernelRun, error) {
	mode := Modes(file)[0]
	set := defaults(mode)
	s, err := Parse(file, src, map[string]string{"TFO_COOKIE": cookies[mode], "CMSG_LEVEL_IP": "SOL_IP", "CMSG_TYPE_RECVERR": "IP_RECVERR"})
	if err != nil {
		return nil, err
	}
	for _, o := range s.Options {
		if err := set.apply(file, o, map[string]string{}); err != nil {
			return nil, err
		}
	}
	set.tolerance = max(set.tolerance, 20*time.Millisecond)
	set.percent = max(set.percent, 15)
	runtime.LockOSThread()
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		return nil, fmt.Errorf("a network namespace: %w", err)
	}
	k := &kernelRun{run: newRun(s, set), fds: make(map[int]int), heard: make(chan packet, 4096)}
	return k, k.device()
}

// device makes tun0 with the run's addresses.
func (k *kernelRun) device() error {
	fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_NONBLOCK, 0)
	if err != nil {
		return err
	}
	ifr, err := unix.NewIfreq("tun0")
	if err != nil {
		return err
	}
	ifr.SetUint16(unix.IFF_TUN | unix.IFF_NO_PI)
	if err := unix.IoctlIfreq(fd, unix.TUNSETIFF, ifr); err != nil {
		return fmt.Errorf("TUNSETIFF: %w", err)
	}
	k.tun = os.NewFile(uintptr(fd), "tun0")
	l, err := netlink.LinkByName("tun0")
	if err != nil {
		return err
	}
	without6 := map[Mode]string{IPv4: "1", IPv6: "0"}
	for key, v := range map[string]string{
		"net.ipv6.conf.tun0.disable_ipv6": without6[k.set.mode], "net.ipv6.conf.tun0.addr_gen_mode": "1", "net.ipv6.conf.tun0.router_solicitations": "0",
		"net.ipv6.conf.tun0.accept_dad": "0", "net.ipv4.tcp_fastopen": "0x70403", "net.ipv4.tcp_fastopen_key": "a1a1a1a1-b2b2b2b2-c3c3c3c3-d4d4d4d4", "net.ipv4.tcp_slow_start_after_idle": "0",
		"net.ipv4.tcp_rmem": "4096 540000 15728640", "net.ipv4.tcp_wmem": "4096 262144 4194304",
		"net.ipv4.tcp_syn_retries": "5", "net.ipv4.tcp_synack_retries": "5", "net.ipv4.tcp_ecn": "0",
		"net.ipv4.tcp_syncookies": "1", "net.ipv4.tcp_min_tso_segs": "2",
	} {
		if err := setSysctl(key, v); err != nil {
			return err
		}
	}
	addr, err := netlink.ParseAddr(k.set.local.String())
	if err != nil {
		return err
	}
	if k.set.mode == IPv6 {
		addr.Flags = unix.IFA_F_NODAD // usable at once
	}
	dst, err := netlink.ParseIPNet(k.set.route.String())
	if err != nil {
		return err
	}
	return errors.Join(netlink.LinkSetMTU(l, k.set.mtu), netlink.LinkSetUp(l), netlink.AddrAdd(l, addr),
		netlink.RouteAdd(&netlink.Route{LinkIndex: l.Attrs().Index, Dst: dst}))
}

func setSysctl(key, v string) error {
	return os.WriteFile("/proc/sys/"+strings.ReplaceAll(key, ".", "/"), []byte(v), 0o644)
}

// clock returns the script's time.
func (k *kernelRun) clock() clock.Instant { return start.Add(time.Since(k.began)) }

// listenTUN collects what the kernel sends.
func (k *kernelRun) listenTUN() {
	buf := make([]byte, 1<<16)
	for {
		n, err := k.tun.Read(buf)
		if err != nil {
			return
		}
		k.heard <- packet{k.clock(), append([]byte(nil), buf[:n]...)}
	}
}

// enter runs the script's first command and begins its time.
func (k *kernelRun) enter() error {
	k.began = time.Now()
	go k.listenTUN()
	if c := k.script.Init; c != nil {
		if err := k.kernelCommand(c.Text); err != nil {
			return err
		}
	}
	k.began = time.Now()
	return nil
}

// leave gives back what the run holds.
func (k *kernelRun) leave() {
	for _, fd := range k.fds {
		unix.Close(fd)
	}
	k.tun.Close()
}

func (k *kernelRun) execute() error {
	defer k.leave()
	if err := k.enter(); err != nil {
		return err
	}
	for i := range k.script.Events {
		e := &k.script.Events[i]
		if err := k.kernelEvent(e); err != nil {
			return err
		}
		k.previous = k.now
	}
	for _, a := range k.asserts {
		if err := a.check(); err != nil {
			return k.fail(a.line, "error executing code", err)
		}
	}
	return nil
}

// sleep waits until the instant at and then spins a little.
func (k *kernelRun) sleep(at clock.Instant) {
	for {
		d := at.Sub(k.clock())
		if d <= 0 {
			k.now = max(at, k.now)
			return
		}
		time.Sleep(d)
	}
}

func (k *kernelRun) kernelEvent(e *Event) error {
	origin := k.now
	if !e.Time.Relative {
		origin = start
	}
	if e.Packet != nil && e.Packet.Out {
		if err := k.expectFrom(e, origin, k.kernelNext); err != nil {
			return k.fail(e.Line, "error handling packet", err)
		}
		return nil
	}
	k.sleep(max(origin.Add(e.Time.At), k.now))
	if err := k.finishCall(e.Call != nil); err != nil {
		return err
	}
	switch {
	case e.Packet != nil:
		return k.kernelInject(e)
	case e.Command != nil:
		if err := k.kernelCommand(e.Command.Text); err != nil {
			return k.fail(e.Line, "error executing command", err)
		}
		k.now = max(k.now, k.clock())
		return nil
	case e.Code != nil:
		time.Sleep(time.Millisecond)
		info := k.kernelInfo()
		for _, l := range statements(e.Code.Text) {
			k.asserts = append(k.asserts, assertion{e.Code.Line + l.line, l.text, info})
		}
		return nil
	}
	return k.kernelSyscall(e, origin)
}

func (k *kernelRun) kernelInject(e *Event) error {
	p := e.Packet
	f, err := k.flowOf(p)
	if err == nil {
		k.current = f
		var pkt []byte
		if p.ICMP != nil {
			pkt, err = k.icmp(p, f)
		} else {
			pkt, err = k.segment(p, f)
		}
		if err == nil {
			k.bindEnds(p, f)
			_, err = k.tun.Write(pkt)
		}
	}
	if err != nil {
		return k.fail(e.Line, "error handling packet", err)
	}
	return nil
}

// kernelNext is next with the kernel's packets.
func (k *kernelRun) kernelNext(p *Packet, f *flow, win window) (*live, error) {
	limit := time.NewTimer(max(win.to, k.now).Add(patience).Sub(k.clock()))
	defer limit.Stop()
	for {
		select {
		case pkt := <-k.heard:
			l, ok := parseLive(pkt)
			if !ok {
				continue
			}
			owner := k.owner(p, f, l)
			switch {
			case owner == nil || owner != f && k.superseded(owner, f):
				continue
			case owner != f:
				return nil, k.elsewhere(p, f, owner, l, win)
			}
			k.now = max(k.now, l.at)
			return l, nil
		case <-limit.C:
			return nil, fmt.Errorf("timed out waiting for packet\nscript packet: %s", k.scriptLine(p, f, win))
		}
	}
}

// kernelCommand applies what a namespace's kernel can do of the commands.
func (k *kernelRun) kernelCommand(text string) error {
	text = strings.ReplaceAll(text, "\\\n", " ")
	for line := range strings.Lines(text) {
		line, _, _ = strings.Cut(redirection.ReplaceAllString(line, ""), "#")
		words := strings.Fields(line)
		if len(words) == 0 {
			continue
		}
		switch filepath.Base(words[0]) {
		case "defaults.sh", "true", "ethtool":
			continue
		case "sleep":
			d, err := time.ParseDuration(words[1] + "s")
			if err != nil {
				return err
			}
			time.Sleep(d)
			k.now = max(k.now, k.clock())
			continue
		case "client.sh":
			words = []string{"multi-ep.sh", "-e", "0"}
		case "server.sh":
			words = []string{"multi-ep.sh", "-e", "1", "-m", "signal"}
		case "ip":
			if err := kernelIP(words[1:]...); err != nil {
				return err
			}
			continue
		}
		if filepath.Base(words[0]) == "multi-ep.sh" {
			if err := k.kernelEndpoints(words[1:]); err != nil {
				return err
			}
			continue
		}
		switch filepath.Base(words[0]) {
		case "sysctl", "set_sysctls.py":
			for _, w := range words[1:] {
				key, v, ok := strings.Cut(strings.TrimPrefix(w, "/proc/sys/"), "=")
				if !ok {
					continue
				}
				if key == "net.ipv4.tcp_congestion_control" {
					return unsupported("a sysctl of congestion control")
				}
				if err := setSysctl(strings.ReplaceAll(key, "/", "."), v); err != nil {
					return err
				}
			}
			continue
		}
		switch strings.TrimPrefix(words[0], "!") {
		case "", "nstat", "test", "ss":
			time.Sleep(5 * time.Millisecond)
			if err := k.kernelShell(line); err != nil {
				return err
			}
			continue
		}
		return unsupported("on the kernel, the command %q", line)
	}
	return nil
}

// kernelIP runs ip: the thread's namespace is its own.
func kernelIP(args ...string) error {
	if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
		return fmt.Errorf("ip %s: %w: %s", strings.Join(args, " "), err, out)
	}
	return nil
}

// kernelShell runs a command with the counters of the namespace: nstat has a history
// of its own for each run.
func (k *kernelRun) kernelShell(line string) error {
	c := exec.Command("sh", "-c", line)
	c.Env = append(os.Environ(), "NSTAT_HISTORY="+k.history)
	if out, err := c.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %s", line, err, out)
	}
	return nil
}

// kernelEndpoints is multi-ep.sh.
func (k *kernelRun) kernelEndpoints(args []string) error {
	n, flags := 0, []string{}
	for i := 0; i+1 < len(args); i += 2 {
		switch args[i] {
		case "-e":
			n, _ = strconv.Atoi(args[i+1])
		case "-m":
			flags = append(flags, args[i+1])
		}
	}
	err := errors.Join(kernelIP("mptcp", "endpoint", "flush"), kernelIP("mptcp", "limits", "set", "add_addr_accepted", "8", "subflows", "8"))
	a := k.set.local.Addr()
	for range n {
		a = a.Next()
		add := []string{"addr", "add", netip.PrefixFrom(a, k.set.local.Bits()).String(), "dev", "tun0"}
		if a.Is6() {
			add = append(add, "nodad")
		}
		err = errors.Join(err, kernelIP(add...),
			kernelIP(append([]string{"mptcp", "endpoint", "add", a.String()}, flags...)...))
	}
	return err
}

// kernelInfo returns tcp_info of the current flow; of one that has no descriptor
// any more, its state.
func (k *kernelRun) kernelInfo() map[string]int64 {
	f := k.current
	fd, ok := k.fds[f.fd]
	if !ok {
		return map[string]int64{"tcpi_state": k.procState(f)}
	}
	in, err := unix.GetsockoptTCPInfo(fd, unix.SOL_TCP, unix.TCP_INFO)
	if err != nil {
		return nil
	}
	wscales, bits := (*[8]byte)(unsafe.Pointer(in))[6], (*[8]byte)(unsafe.Pointer(in))[7] // bit fields
	return map[string]int64{
		"tcpi_state": int64(in.State), "tcpi_ca_state": int64(in.Ca_state), "tcpi_retransmits": int64(in.Retransmits),
		"tcpi_backoff": int64(in.Backoff), "tcpi_rto": int64(in.Rto), "tcpi_ato": int64(in.Ato),
		"tcpi_snd_mss": int64(in.Snd_mss), "tcpi_rcv_mss": int64(in.Rcv_mss), "tcpi_unacked": int64(in.Unacked),
		"tcpi_sacked": int64(in.Sacked), "tcpi_lost": int64(in.Lost), "tcpi_retrans": int64(in.Retrans),
		"tcpi_rtt": int64(in.Rtt), "tcpi_rttvar": int64(in.Rttvar), "tcpi_min_rtt": int64(in.Min_rtt),
		"tcpi_snd_ssthresh": int64(in.Snd_ssthresh), "tcpi_snd_cwnd": int64(in.Snd_cwnd), "tcpi_rcv_ssthresh": int64(in.Rcv_ssthresh),
		"tcpi_total_retrans": int64(in.Total_retrans), "tcpi_pacing_rate": int64(in.Pacing_rate), "tcpi_delivery_rate": int64(in.Delivery_rate),
		"tcpi_bytes_sent": int64(in.Bytes_sent), "tcpi_bytes_retrans": int64(in.Bytes_retrans), "tcpi_bytes_acked": int64(in.Bytes_acked),
		"tcpi_bytes_received": int64(in.Bytes_received), "tcpi_segs_out": int64(in.Segs_out), "tcpi_segs_in": int64(in.Segs_in),
		"tcpi_dsack_dups": int64(in.Dsack_dups), "tcpi_reord_seen": int64(in.Reord_seen), "tcpi_options": int64(in.Options),
		"tcpi_advmss": int64(in.Advmss), "tcpi_reordering": int64(in.Reordering), "tcpi_pmtu": int64(in.Pmtu),
		"tcpi_snd_wscale": int64(wscales & 0xF), "tcpi_rcv_wscale": int64(wscales >> 4), "tcpi_fastopen_client_fail": int64(bits >> 1 & 3), "tcpi_rcv_wnd": int64(in.Rcv_wnd), "tcpi_snd_wnd": int64(in.Snd_wnd), "tcpi_rcv_space": int64(in.Rcv_space),
		"tcpi_rcv_rtt": int64(in.Rcv_rtt), "tcpi_notsent_bytes": int64(in.Notsent_bytes), "tcpi_rcv_ooopack": int64(in.Rcv_ooopack),
		"tcpi_delivered": int64(in.Delivered), "tcpi_delivered_ce": int64(in.Delivered_ce), "tcpi_probes": int64(in.Probes),
	}
}

// procState finds the state of a flow in /proc/net/tcp.
func (k *kernelRun) procState(f *flow) int64 {
	b, err := os.ReadFile(map[Mode]string{IPv4: "/proc/thread-self/net/tcp", IPv6: "/proc/thread-self/net/tcp6"}[k.set.mode])
	if err != nil {
		return -1
	}
	want := fmt.Sprintf(":%04X", f.remote.Port())
	for line := range strings.Lines(string(b)) {
		w := strings.Fields(line)
		if len(w) > 3 && strings.HasSuffix(w[2], want) {
			n, err := strconv.ParseInt(w[3], 16, 64)
			if err != nil {
				return -1
			}
			return n
		}
	}
	return int64(tcp.StateClosed)
}

func sockaddr(a netip.AddrPort) unix.Sockaddr {
	if a.Addr().Is6() {
		return &unix.SockaddrInet6{Port: int(a.Port()), Addr: a.Addr().As16()}
	}
	return &unix.SockaddrInet4{Port: int(a.Port()), Addr: a.Addr().As4()}
}

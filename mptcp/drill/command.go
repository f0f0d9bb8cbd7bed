package drill

import (
	"errors"
	"fmt"
	"math"
	"net/netip"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"mptcplab/mptcp"
	"mptcplab/mptcp/pm"
	"mptcplab/mptcp/tcp"
)

// command applies a shell command to the stack, line by line.
func (r *run) command(text string) error {
	for _, c := range commands(strings.ReplaceAll(text, "\\\n", " ")) {
		if err := r.shell(c); err != nil {
			return err
		}
	}
	return nil
}

var (
	testCounter = regexp.MustCompile(`^test \$\(nstat -(a?)zjs? \| jq ['"]?\.kernel\.(\w+)['"]?\) -(eq|ne|gt|ge|lt|le) (\d+)$`)
	noSubflow   = regexp.MustCompile(`^! ss -\w*M\w* \| grep (-q )?tcp$`)
	nstatPipe   = regexp.MustCompile(`^(! )?nstat\b.*\| grep `)
	listens     = regexp.MustCompile(`^grep " 0A " /proc/net/tcp( /proc/net/tcp6)? \| grep ":([0-9A-F]{4})"$`)
	mptcpState  = regexp.MustCompile(`^ss -\w*M\w* \| grep (-q )?([A-Z0-9-]+)$`)
)

// redirection is where a command's output goes: nobody reads it.
var redirection = regexp.MustCompile(` ?[12&]?> ?(/dev/null|&1)`)

// shell applies one command.
func (r *run) shell(c string) error {
	c = redirection.ReplaceAllString(c, "")
	words, err := shellWords(c)
	if err != nil {
		return err
	}
	switch path.Base(words[0]) {
	case "defaults.sh", "true", "ethtool", "tc", "echo", "modprobe":
		return nil // what defaults.sh sets is set; the others change no stack without offload
	case "sleep":
		return r.sleep(words[1:])
	case "client.sh":
		return r.endpoints(nil)
	case "server.sh":
		return r.endpoints([]string{"-e", "1", "-m", "signal"})
	case "check_mptcp_info.sh":
		return r.checkMPTCPInfo(words[1:])
	case "multi-ep.sh":
		return r.endpoints(words[1:])
	case "sysctl":
		return r.sysctlCommand(words[1:])
	case "set_sysctls.py":
		return r.setSysctls(words[1:])
	case "ip":
		return r.ip(words[1:])
	}
	switch {
	case strings.HasPrefix(c, "/tmp/sysctl_restore_"):
		return nil
	case c == "nstat -n", c == "nstat":
		r.counters = r.readCounters()
		return nil
	case nstatPipe.MatchString(c):
		return r.nstat(c)
	case testCounter.MatchString(c):
		return r.testCounter(testCounter.FindStringSubmatch(c))
	case noSubflow.MatchString(c):
		return r.noSubflow()
	case listens.MatchString(c):
		return r.listens(listens.FindStringSubmatch(c)[2])
	case mptcpState.MatchString(c):
		return r.mptcpState(mptcpState.FindStringSubmatch(c)[2])
	}
	return unsupported("the command %q", c)
}

// readCounters returns all counters by name.
func (r *run) readCounters() map[string]uint64 {
	m := make(map[string]uint64)
	r.stack.Counters().Each(func(name string, v uint64) { m[name] = v })
	return m
}

// testCounter compares a counter, since nstat -n or (-a) since the beginning.
func (r *run) testCounter(m []string) error {
	v, ok := r.readCounters()[m[2]]
	if !ok {
		return unsupported("the counter %s", m[2])
	}
	if m[1] == "" {
		v -= r.counters[m[2]]
	}
	want, err := strconv.ParseUint(m[4], 10, 64)
	if err != nil {
		return err
	}
	holds := map[string]bool{"eq": v == want, "ne": v != want, "gt": v > want, "ge": v >= want, "lt": v < want, "le": v <= want}
	if !holds[m[3]] {
		return fmt.Errorf("%s is %d, want -%s %d", m[2], v, m[3], want)
	}
	return nil
}

// noSubflow fails if a subflow lives; TIME-WAIT does not count.
func (r *run) noSubflow() error {
	for _, c := range r.stack.Conns() {
		for _, sf := range c.Info(r.now).Subflows {
			if !sf.Closed && sf.TCP.State != tcp.StateTimeWait && sf.TCP.State != tcp.StateClosed {
				return fmt.Errorf("a subflow from %v to %v is in state %d", sf.Local, sf.Remote, sf.TCP.State)
			}
		}
	}
	return nil
}

// listens fails if no socket listens on the port, as /proc/net/tcp shows it.
func (r *run) listens(port string) error {
	for _, d := range r.stack.Diag(r.now) {
		if d.State == "LISTEN" && fmt.Sprintf("%04X", d.Local.Port()) == port {
			return nil
		}
	}
	return fmt.Errorf("no socket listens on port 0x%s", port)
}

// checkMPTCPInfo is check_mptcp_info.sh FIELD N: a connection of which "ss -Mi" says
// FIELD:N, or for 0 nothing.
func (r *run) checkMPTCPInfo(args []string) error {
	if len(args) != 2 {
		return errors.New("check_mptcp_info.sh needs a field and a number")
	}
	var b strings.Builder
	if err := mptcp.WriteSS(&b, r.stack.Diag(r.now)); err != nil {
		return err
	}
	words := strings.Fields(b.String())
	for _, w := range words {
		if name, v, ok := strings.Cut(w, ":"); ok && name == args[0] {
			if v == args[1] {
				return nil
			}
			return fmt.Errorf("%s is %s, want %s", name, v, args[1])
		}
	}
	if args[1] != "0" {
		return fmt.Errorf("%s is 0, want %s", args[0], args[1])
	}
	return nil
}

// mptcpState fails if no connection is in the state.
func (r *run) mptcpState(name string) error {
	var found []string
	for _, d := range r.stack.Diag(r.now) {
		if name == "LISTEN" && d.State == name && d.Proto == "mptcp" {
			return nil
		}
	}
	for _, c := range r.stack.Conns() {
		s := c.CloseState()
		if s == name {
			return nil
		}
		found = append(found, s)
	}
	return fmt.Errorf("no MPTCP socket in %s; they are in %v", name, found)
}

// endpoints is multi-ep.sh: limits of 8, no endpoints but -e of them at the
// addresses after the local one, with the flags of -m.
func (r *run) endpoints(args []string) error {
	n := 0
	var flags pm.EndpointFlags
	for i := 0; i < len(args); i++ {
		switch {
		case args[i] == "-b":
			flags |= pm.Backup
		case args[i] == "-e" && i+1 < len(args):
			v, err := strconv.Atoi(args[i+1])
			if err != nil || v < 0 || v > 8 {
				return fmt.Errorf("multi-ep.sh -e %s", args[i+1])
			}
			n = v
			i++
		case args[i] == "-m" && i+1 < len(args):
			f, err := endpointFlag(args[i+1])
			if err != nil {
				return err
			}
			flags |= f
			i++
		default:
			return unsupported("multi-ep.sh %s", args[i])
		}
	}
	if flags&^pm.Backup == 0 {
		flags |= pm.Signal
	}
	r.stack.SetLimits(pm.Limits{Subflows: 8, AddAddrAccepted: 8})
	r.stack.FlushEndpoints(r.now)
	a := r.set.local.Addr()
	for range n {
		a = a.Next()
		if err := r.addAddress(a); err != nil {
			return err
		}
		if _, err := r.stack.AddEndpoint(r.now, pm.Endpoint{Addr: a, Flags: flags}); err != nil {
			return err
		}
	}
	r.drain()
	return nil
}

// addAddress gives the device one more address.
func (r *run) addAddress(a netip.Addr) error {
	r.link.Prefixes = append(append([]netip.Prefix(nil), r.link.Prefixes...), netip.PrefixFrom(a, r.set.local.Bits()))
	return r.stack.SetLink(r.now, 0, r.link)
}

func endpointFlag(s string) (pm.EndpointFlags, error) {
	for name, f := range map[string]pm.EndpointFlags{"signal": pm.Signal, "subflow": pm.Subflow, "backup": pm.Backup, "fullmesh": pm.Fullmesh} {
		if s == name {
			return f, nil
		}
	}
	return 0, unsupported("the endpoint flag %s", s)
}

// ip applies ip mptcp; of the rest the destination cache is emptied.
func (r *run) ip(args []string) error {
	if len(args) > 0 && (args[0] == "-6" || args[0] == "-4") {
		args = args[1:]
	}
	line := strings.Join(args, " ")
	switch {
	case strings.HasPrefix(line, "tcp_metrics flush"):
		r.stack.FlushDestinations()
		return nil
	case strings.HasPrefix(line, "link set"):
		return r.linkSet(args[2:])
	case (strings.HasPrefix(line, "addr add ") || strings.HasPrefix(line, "address add ")) && len(args) > 2:
		p, err := netip.ParsePrefix(args[2])
		if err != nil {
			return err
		}
		return r.addAddress(p.Addr())
	case line == "mptcp endpoint flush":
		r.stack.FlushEndpoints(r.now)
		r.drain()
		return nil
	case strings.HasPrefix(line, "mptcp endpoint add ") && len(args) > 3:
		return r.endpointAdd(args[3:])
	case strings.HasPrefix(line, "mptcp endpoint del") && len(args) == 5 && args[3] == "id":
		id, err := strconv.ParseUint(args[4], 10, 8)
		if err != nil {
			return err
		}
		err = r.stack.DeleteEndpoint(r.now, uint8(id))
		r.drain()
		return err
	case strings.HasPrefix(line, "mptcp limits set "):
		return r.limits(args[3:])
	}
	return unsupported("ip %s", line)
}

func (r *run) endpointAdd(args []string) error {
	a, err := netip.ParseAddr(args[0])
	if err != nil {
		return err
	}
	e := pm.Endpoint{Addr: a}
	for i := 1; i < len(args); i++ {
		switch {
		case (args[i] == "id" || args[i] == "port" || args[i] == "dev") && i+1 < len(args):
			if args[i] != "dev" {
				n, err := strconv.ParseUint(args[i+1], 10, 16)
				switch {
				case err != nil || args[i] == "id" && n > 255:
					return fmt.Errorf("%s %s", args[i], args[i+1])
				case args[i] == "id":
					e.ID = uint8(n)
				default:
					e.Port = uint16(n)
				}
			}
			i++
		default:
			f, err := endpointFlag(args[i])
			if err != nil {
				return err
			}
			e.Flags |= f
		}
	}
	_, err = r.stack.AddEndpoint(r.now, e)
	r.drain()
	return err
}

func (r *run) limits(args []string) error {
	var l pm.Limits
	for i := 0; i+1 < len(args); i += 2 {
		n, err := strconv.Atoi(args[i+1])
		if err != nil || n < 0 || n > 8 {
			return errors.New("limits are 0 to 8")
		}
		switch args[i] {
		case "subflow", "subflows":
			l.Subflows = n
		case "add_addr_accepted":
			l.AddAddrAccepted = n
		default:
			return unsupported("the limit %s", args[i])
		}
	}
	r.stack.SetLimits(l)
	return nil
}

// sysctlCommand applies "sysctl [-wq] key=value ...".
func (r *run) sysctlCommand(args []string) error {
	for _, a := range args {
		if strings.HasPrefix(a, "-") {
			continue
		}
		if err := r.sysctlSet(a); err != nil {
			return err
		}
	}
	return nil
}

// setSysctls applies "set_sysctls.py /proc/sys/net/ipv4/key=value ...".
func (r *run) setSysctls(args []string) error {
	for _, a := range args {
		if err := r.sysctlSet(strings.TrimPrefix(a, "/proc/sys/")); err != nil {
			return err
		}
	}
	return nil
}

// fixed are sysctls that change nothing here: the stack has no such thing (""), or
// always does as one of these values says.
var fixed = map[string]string{
	"net.ipv4.tcp_no_metrics_save": "", "net.ipv4.tcp_autocorking": "", "net.ipv4.tcp_early_demux": "",
	"net.ipv4.tcp_limit_output_bytes": "", "net.ipv4.tcp_max_tw_buckets": "", "net.ipv4.tcp_tw_reuse": "",
	"net.ipv4.tcp_adv_win_scale": "", "net.ipv4.tcp_app_win": "", "net.ipv4.tcp_comp_sack_nr": "", "net.ipv4.tcp_comp_sack_delay_ns": "",
	"net.ipv4.tcp_comp_sack_slack_ns": "", "net.ipv4.tcp_pacing_ss_ratio": "", "net.ipv4.tcp_pacing_ca_ratio": "", "net.ipv4.tcp_fack": "",
	"net.ipv4.tcp_backlog_ack_defer": "", "net.ipv4.tcp_no_ssthresh_metrics_save": "", "net.ipv4.tcp_moderate_rcvbuf": "1",
	"net.ipv4.tcp_dsack": "1", "net.ipv4.tcp_early_retrans": "3 4", "net.ipv4.tcp_recovery": "1", "net.ipv4.tcp_reflect_tos": "0",
	"net.ipv4.tcp_shrink_window": "0", "net.ipv4.tcp_retrans_collapse": "", "net.ipv4.tcp_thin_linear_timeouts": "0", "net.ipv4.tcp_stdurg": "0",
	"net.ipv4.tcp_rfc1337": "0", "net.ipv4.tcp_invalid_ratelimit": "500", "net.ipv4.tcp_orphan_retries": "0", "net.ipv4.tcp_retries1": "",
	"net.core.rmem_max": "", "net.core.wmem_max": "", "net.core.optmem_max": "", "net.core.default_qdisc": "", "net.mptcp.scheduler": "default",
	"net.mptcp.pm_type": "0", "net.ipv4.tcp_base_mss": "1024", "net.ipv4.tcp_mtu_probe_floor": "48", "net.ipv4.tcp_probe_interval": "", "net.ipv4.tcp_probe_threshold": "8",
}

// sysctlSet sets one key for sockets that are made from now on.
func (r *run) sysctlSet(kv string) error {
	key, v, ok := strings.Cut(kv, "=")
	key = strings.ReplaceAll(key, "/", ".")
	if !ok {
		return fmt.Errorf("sysctl %s without a value", kv)
	}
	if want, ok := fixed[key]; ok {
		if want != "" && !slices.Contains(strings.Fields(want), v) {
			return unsupported("sysctl %s=%s", key, v)
		}
		return nil
	}
	if ok, err := r.stackSysctl(key, v); ok {
		return err
	}
	cfg := r.sock.Default()
	if key == "net.ipv4.tcp_congestion_control" {
		cfg.TCP.CongestionControl = v
		return nil
	}
	if sizes := strings.Fields(v); len(sizes) == 3 && (key == "net.ipv4.tcp_rmem" || key == "net.ipv4.tcp_wmem") {
		first, err := strconv.Atoi(sizes[1])
		most, err2 := strconv.Atoi(sizes[2])
		switch {
		case errors.Join(err, err2) != nil || first <= 0 || most <= 0:
			return fmt.Errorf("%s=%q", key, v)
		case key == "net.ipv4.tcp_rmem":
			cfg.TCP.MaxWindow, cfg.RecvBufferMax = most, most
		default:
			cfg.SendBuffer = first // no script is long enough for it to grow
		}
		return nil
	}
	n, err := strconv.Atoi(v)
	if err != nil {
		return unsupported("sysctl %s=%s", key, v)
	}
	switch key {
	case "net.mptcp.allow_join_initial_addr_port":
		cfg.DenyJoinInitial = n == 0
	case "net.mptcp.stale_loss_cnt":
		cfg.StaleLossCount = orNone(n)
	case "net.ipv4.tcp_ecn":
		if n < 0 || n > 2 {
			return unsupported("sysctl %s=%s", key, v)
		}
		cfg.TCP.ECN = [...]tcp.ECNMode{tcp.ECNOff, tcp.ECNOn, tcp.ECNOnRequest}[n]
	case "net.ipv4.tcp_mtu_probing":
		if n < 0 || n > 2 {
			return unsupported("sysctl %s=%s", key, v)
		}
		cfg.TCP.MTUProbing = tcp.MTUProbing(n)
	case "net.ipv4.tcp_frto":
		cfg.TCP.NoFRTO = n == 0
	case "net.ipv4.tcp_reordering":
		cfg.TCP.Reordering = orNone(n)
	case "net.ipv4.tcp_min_tso_segs":
		cfg.TCP.MinTSOSegs = orNone(n)
	case "net.ipv4.tcp_tso_win_divisor":
		cfg.TCP.TSOWinDivisor = orNone(n)
	case "net.ipv4.tcp_slow_start_after_idle":
		cfg.TCP.NoIdleRestart = n == 0
	case "net.ipv4.tcp_timestamps":
		cfg.TCP.NoTimestamps = n == 0
	case "net.ipv4.tcp_sack":
		cfg.TCP.NoSACK = n == 0
	case "net.ipv4.tcp_window_scaling":
		cfg.TCP.NoWindowScaling = n == 0
	case "net.ipv4.tcp_syn_retries":
		cfg.TCP.SYNRetries = orNone(n)
	case "net.ipv4.tcp_syn_linear_timeouts":
		cfg.TCP.SYNLinearTimeouts = n
	case "net.ipv4.tcp_synack_retries":
		cfg.TCP.SYNACKRetries = orNone(n)
	case "net.ipv4.tcp_notsent_lowat":
		cfg.TCP.NotSentLowat = n
		if n < 0 || n > math.MaxInt32 {
			cfg.TCP.NotSentLowat = 0
		}
	case "net.ipv4.tcp_rto_max_ms":
		cfg.TCP.RTOMax = time.Duration(n) * time.Millisecond
	case "net.ipv4.tcp_rto_min_us":
		cfg.TCP.RTOMin = time.Duration(n) * time.Microsecond
	case "net.ipv4.tcp_keepalive_intvl":
		cfg.TCP.KeepaliveInterval = time.Duration(n) * time.Second
	case "net.ipv4.tcp_keepalive_probes":
		cfg.TCP.KeepaliveProbes = n
	case "net.ipv4.tcp_retries2":
		cfg.TCP.Retries2 = orNone(n)
	case "net.ipv4.tcp_fin_timeout":
		cfg.TCP.FinTimeout = time.Duration(n) * time.Second
	case "net.mptcp.add_addr_timeout":
		cfg.AddAddrTimeout = time.Duration(n) * time.Second
	case "net.mptcp.close_timeout":
		cfg.CloseTimeout = time.Duration(n) * time.Second
	case "net.mptcp.checksum_enabled":
		cfg.ChecksumEnabled = n != 0
	case "net.mptcp.syn_retrans_before_tcp_fallback":
		cfg.SYNRetriesBeforeTCPFallback = orNone(n)
	default:
		return unsupported("sysctl %s", key)
	}
	return nil
}

// orNone is how a Config says 0.
func orNone(n int) int {
	if n == 0 {
		return -1
	}
	return n
}

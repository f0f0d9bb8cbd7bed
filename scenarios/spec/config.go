package spec

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"
	"time"

	"mptcplab/mptcp"
	"mptcplab/mptcp/tcp"
	"mptcplab/topology/decode"
)

// MPTCPConfig returns the settings as our stack takes them. plainTCP asks for a
// TCP socket.
func MPTCPConfig(s Settings, plainTCP bool) mptcp.Config {
	c := mptcp.Config{
		TCP:                         TCPConfig(s),
		PlainTCP:                    plainTCP,
		Scheduler:                   s.MPTCP["scheduler"],
		ChecksumEnabled:             s.MPTCP["checksum_enabled"] == "true",
		DenyJoinInitial:             s.MPTCP["allow_join_initial_addr_port"] == "false",
		DataAckOnAdvance:            s.MPTCP["data_ack_on_advance"] == "true",
		ResetLossCount:              integer(s.MPTCP["reset_loss_cnt"]),
		RemoveAddrKeepalive:         s.MPTCP["remove_addr_keepalive"] == "true",
		AddAddrTimeout:              duration(s.MPTCP["add_addr_timeout"]),
		CloseTimeout:                duration(s.MPTCP["close_timeout"]),
		StaleLossCount:              integer(s.MPTCP["stale_loss_cnt"]),
		SYNRetriesBeforeTCPFallback: noneIsNegative(s.MPTCP["syn_retrans_before_tcp_fallback"]),
		OpportunisticRetransmission: s.MPTCP["opportunistic_retransmission"] == "true",
		Penalization:                s.MPTCP["penalization"] == "true",
	}
	c.SendBuffer, c.SendBufferMax = buffer(s.TCP["wmem"])
	c.RecvBuffer, c.RecvBufferMax = buffer(s.TCP["rmem"])
	c.TCP.MaxWindow = c.RecvBufferMax
	return c
}

// StackConfig returns what a host of ours runs with.
func (h *Host) StackConfig() mptcp.HostConfig {
	return mptcp.HostConfig{
		Default:     MPTCPConfig(h.Settings, h.Stack == StackTCP),
		PathManager: h.PathManager, Endpoints: h.Endpoints, Limits: h.Limits,
		SubflowsPerPair: integer(h.Settings.MPTCP["subflows_per_pair"]),
		BringUp:         duration(h.Settings.MPTCP["bring_up"]),
		JoinDelay:       duration(h.Settings.MPTCP["join_delay"]),
		Sysctl: mptcp.Sysctl{
			FastOpen:         noneIsNegative(h.Settings.TCP["fastopen"]),
			SYNCookies:       noneIsNegative(h.Settings.TCP["syncookies"]),
			NoMPTCP:          h.Settings.MPTCP["enabled"] == "false",
			BlackholeTimeout: cmp.Or(duration(h.Settings.MPTCP["blackhole_timeout"]), -1),
		},
	}
}

// TCPConfig returns the tcp settings as our TCP takes them.
func TCPConfig(s Settings) tcp.Config {
	return tcp.Config{
		CongestionControl: s.TCP["congestion_control"],
		InitialCwnd:       integer(s.TCP["initcwnd"]),
		RTOMin:            duration(s.TCP["rto_min"]),
		RTOMax:            duration(s.TCP["rto_max"]),
		SYNRetries:        noneIsNegative(s.TCP["syn_retries"]),
		SYNACKRetries:     noneIsNegative(s.TCP["synack_retries"]),
		Retries2:          integer(s.TCP["retries2"]),
		NoSACK:            s.TCP["sack"] == "false",
		NoTimestamps:      s.TCP["timestamps"] == "false",
		NoWindowScaling:   s.TCP["window_scaling"] == "false",
		FinTimeout:        duration(s.TCP["fin_timeout"]),
		NoIdleRestart:     s.TCP["slow_start_after_idle"] == "false",
		MTUProbing:        tcp.MTUProbing(integer(s.TCP["mtu_probing"])),
		ECN:               map[string]tcp.ECNMode{"0": tcp.ECNOff, "1": tcp.ECNOn}[s.TCP["ecn"]],
	}
}

// Sysctl is one setting of a kernel stack, for the host's namespace.
type Sysctl struct {
	Name  string // "net.mptcp.checksum_enabled"
	Value string // as /proc/sys takes it
	Given bool   // the file asked for it: a kernel that lacks it cannot run the file
}

// Sysctls returns the settings as sysctls, in a fixed order: those that the file
// gave, and the congestion controller always.
func Sysctls(s Settings) []Sysctl {
	var list []Sysctl
	add := func(block, prefix string, settings []setting, values map[string]string) {
		for i := range settings {
			e := &settings[i]
			given := s.Given[block+"."+e.name]
			if e.sysctl && (given || e.name == "congestion_control") {
				list = append(list, e.sysctls(prefix, values[e.name], given)...)
			}
		}
	}
	add("mptcp", "net.mptcp.", mptcpSettings, s.MPTCP)
	add("tcp", "net.ipv4.tcp_", tcpSettings, s.TCP)
	return list
}

func (e *setting) sysctls(prefix, text string, given bool) []Sysctl {
	name := prefix + e.name
	switch {
	case e.name == "scheduler" && (text == "minrtt" || text == "default"), e.name == "path_manager" && text == "kernel":
		// What a new namespace has anyway, also on kernels without the sysctl
		// (before 6.6 and 6.15). The kernel's default scheduler is its own
		// lowest-RTT one.
		return nil
	case e.name == "rto_min":
		// tcp_rto_min_us (Linux 6.11) counts microseconds.
		name, text = prefix+"rto_min_us", strconv.FormatInt(duration(text).Microseconds(), 10)
	case e.name == "rto_max":
		// tcp_rto_max_ms (Linux 6.15) counts milliseconds.
		name, text = prefix+"rto_max_ms", strconv.FormatInt(duration(text).Milliseconds(), 10)
	case e.kind == timeSetting:
		text = strconv.FormatInt(int64(duration(text)/time.Second), 10)
	case e.kind == boolSetting:
		text = map[string]string{"true": "1", "false": "0"}[text]
	case e.kind == bufferSetting:
		text = kernelBuffer(text)
	}
	return []Sysctl{{name, text, given}}
}

// kernelBuffer writes "least default most" in bytes. A fixed window of payload
// becomes twice that much memory: of a receive buffer, Linux advertises about half.
func kernelBuffer(text string) string {
	words := strings.Fields(text)
	if len(words) == 1 {
		n, _ := decode.ParseSize(words[0])
		return fmt.Sprintf("%d %d %d", 2*n, 2*n, 2*n)
	}
	for i, w := range words {
		n, _ := decode.ParseSize(w)
		words[i] = strconv.FormatUint(n, 10)
	}
	return strings.Join(words, " ")
}

// buffer returns the fixed size, or 0 and the most that autotuning may take.
func buffer(text string) (fixed, most int) {
	words := strings.Fields(text)
	if len(words) == 0 {
		return 0, 0
	}
	n, _ := decode.ParseSize(words[len(words)-1])
	if len(words) == 1 {
		return int(n), int(n)
	}
	return 0, int(n)
}

// The settings were checked when the file was read.

func duration(text string) time.Duration { d, _ := decode.ParseTime(text); return d }

func integer(text string) int { n, _ := strconv.Atoi(text); return n }

// noneIsNegative maps 0 (none) to -1, for 0 is the default in our configurations.
func noneIsNegative(text string) int {
	n := integer(text)
	if n == 0 {
		return -1
	}
	return n
}

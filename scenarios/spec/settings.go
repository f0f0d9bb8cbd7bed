package spec

import (
	"fmt"
	"maps"
	"math"
	"regexp"
	"slices"
	"strings"

	"mptcplab/topology/decode"
)

// setting is one key of the mptcp and tcp blocks: the last word of a sysctl.
type setting struct {
	name    string
	doc     string
	kind    settingKind
	def     string
	words   []string // of an enumeration: those that our stack has
	kernel  []string // and those that Linux has
	form    string   // further words that our stack has, as a regular expression
	example string   // one of them
	sysctl  bool     // Linux has it
	ours    bool     // our stack has it
	socket  bool     // may differ between sockets of a kernel host
	host    bool     // may not differ between sockets of a host of ours either
	fixed   string   // what our stack does where it has no choice; "": nothing of the kind
	some    bool     // our stack has no 0
	most    int      // the largest number that our stack has; 0: any
}

type settingKind uint8

const (
	boolSetting settingKind = iota
	intSetting
	timeSetting
	bufferSetting // a size, or three: least, default, most
	wordSetting
)

var mptcpSettings = []setting{
	{name: "enabled", kind: boolSetting, def: "true", host: true, sysctl: true, ours: true, doc: "false: no MPTCP socket can be opened (ENOPROTOOPT)"},
	{name: "checksum_enabled", kind: boolSetting, def: "false", sysctl: true, ours: true, doc: "DSS checksums"},
	{name: "remove_addr_keepalive", kind: boolSetting, def: "false", ours: true, doc: "RFC 8684, 3.4.2: a subflow whose address is removed is asked by a keepalive, and stays if it answers; Linux closes it"},
	{name: "data_ack_on_advance", kind: boolSetting, def: "false", ours: true, doc: "RFC 8684, 3.3.2: segments with data carry a Data ACK only where it or the window moves; Linux puts one into all"},
	{name: "add_addr_timeout", kind: timeSetting, def: "2min", some: true, sysctl: true, ours: true, doc: "until an ADD_ADDR without echo is sent again"},
	{name: "allow_join_initial_addr_port", kind: boolSetting, def: "true", sysctl: true, ours: true, doc: "false sets flag C of MP_CAPABLE"},
	{name: "stale_loss_cnt", kind: intSetting, def: "4", some: true, sysctl: true, ours: true, doc: "retransmission intervals without progress until a subflow is stale"},
	{name: "reset_loss_cnt", kind: intSetting, def: "0", ours: true, doc: "retransmission intervals without progress until a subflow is reset (RFC 8684, 3.3.6), if another works; 0: never, as Linux"},
	{name: "close_timeout", kind: timeSetting, def: "1min", some: true, sysctl: true, ours: true, doc: "how long a connection without subflows waits for a new one"},
	{name: "scheduler", kind: wordSetting, def: "minrtt", sysctl: true, ours: true, doc: "packet scheduler; minrtt on a kernel stack is its default",
		words: []string{"minrtt", "default", "roundrobin", "weighted", "redundant", "last-received", "last-received-any", "blest", "ecf",
			"first", "bkup", "rr", "red", "burst", "stale"},
		form: `^weighted:[1-9][0-9]{0,2}(:[1-9][0-9]{0,2}){0,31}$`, example: "weighted:3:1", kernel: []string{"default", "minrtt"}},
	{name: "path_manager", kind: wordSetting, def: "kernel", sysctl: true, ours: true, doc: "who makes subflows",
		words: []string{"kernel", "fullmesh", "ndiffports", "single-path", "userspace"}, kernel: []string{"kernel", "userspace"}},
	{name: "syn_retrans_before_tcp_fallback", kind: intSetting, def: "2", sysctl: true, ours: true, doc: "SYNs with MP_CAPABLE before one without"},
	{name: "blackhole_timeout", kind: timeSetting, def: "1h", host: true, sysctl: true, ours: true, doc: "how long MPTCP is off after a path swallowed its SYNs"},
	{name: "subflows_per_pair", kind: intSetting, def: "1", some: true, ours: true, doc: "subflows of fullmesh for each pair of addresses, of ndiffports between the two initial ones"},
	{name: "bring_up", kind: timeSetting, def: "0s", ours: true, doc: "how long single-path needs for the next path"},
	{name: "join_delay", kind: timeSetting, def: "0s", host: true, ours: true, doc: "RFC 8684, 3.9.2: subflows are opened after a random time up to that, unless the peer has connected the two addresses meanwhile; Linux waits for nothing"},
	{name: "opportunistic_retransmission", kind: boolSetting, def: "false", ours: true, doc: "NSDI'12: resend the head of a full receive window on a faster path"},
	{name: "penalization", kind: boolSetting, def: "false", ours: true, doc: "NSDI'12: halve the window of the path that holds it up"},
}

var tcpSettings = []setting{
	{name: "congestion_control", kind: wordSetting, def: "cubic", sysctl: true, ours: true, socket: true, doc: "cubic is set on kernel stacks, too: never the host kernel's default",
		words: []string{"cubic", "reno", "bbr", "lia", "olia", "balia", "wvegas", "ewtcp", "coupled"}, kernel: []string{"cubic", "reno", "bbr"}},
	{name: "rmem", kind: bufferSetting, def: "4KiB 128KiB 6MiB", some: true, sysctl: true, ours: true, socket: true, doc: "receive buffer: a size is a fixed window of payload, [least, default, most] is autotuning"},
	{name: "wmem", kind: bufferSetting, def: "4KiB 16KiB 4MiB", some: true, sysctl: true, ours: true, socket: true, doc: "send buffer, as rmem"},
	{name: "syn_retries", kind: intSetting, def: "6", sysctl: true, ours: true, doc: "SYNs sent again"},
	{name: "synack_retries", kind: intSetting, def: "5", sysctl: true, ours: true, doc: "SYN/ACKs sent again"},
	{name: "retries2", kind: intSetting, def: "15", some: true, sysctl: true, ours: true, doc: "timeouts until a connection is given up"},
	{name: "sack", kind: boolSetting, def: "true", sysctl: true, ours: true, doc: "selective acknowledgments"},
	{name: "timestamps", kind: boolSetting, def: "true", sysctl: true, ours: true, doc: "the timestamps option"},
	{name: "window_scaling", kind: boolSetting, def: "true", sysctl: true, ours: true, doc: "the window scale option"},
	{name: "rto_min", kind: timeSetting, def: "200ms", some: true, sysctl: true, ours: true, doc: "RTO = SRTT + max(4 RTTVAR, rto_min), as Linux"},
	{name: "rto_max", kind: timeSetting, def: "2min", some: true, sysctl: true, ours: true, doc: "largest RTO"},
	{name: "fin_timeout", kind: timeSetting, def: "1min", some: true, sysctl: true, ours: true, doc: "of orphans in FIN-WAIT-2"},
	{name: "initcwnd", kind: intSetting, def: "10", some: true, ours: true, doc: "initial window in segments"},
	{name: "syncookies", kind: intSetting, def: "1", most: 2, host: true, sysctl: true, ours: true, doc: "SYN cookies: 0 never, 1 under pressure, 2 always"},
	{name: "fastopen", kind: intSetting, def: "1", host: true, sysctl: true, ours: true, doc: "bits as in Linux: 1 client, 2 server; what a socket may ask for, and workloads do not"},
	{name: "ecn", kind: intSetting, def: "2", most: 2, sysctl: true, ours: true, doc: "0 off, 1 asked for, 2 on request"},
	{name: "mtu_probing", kind: intSetting, def: "0", most: 2, sysctl: true, ours: true, doc: "RFC 4821: 0 off, 1 where timeouts suggest a black hole, 2 always"},
	{name: "slow_start_after_idle", kind: boolSetting, def: "true", sysctl: true, ours: true, doc: "restart after idle"},
	{name: "no_metrics_save", kind: boolSetting, def: "false", fixed: "true", sysctl: true, doc: "forget metrics of closed connections"},
	{name: "moderate_rcvbuf", kind: boolSetting, def: "true", sysctl: true, doc: "receive buffer autotuning"},
	{name: "notsent_lowat", kind: intSetting, def: "4294967295", sysctl: true, doc: "bytes unsent below which a socket is writable"},
}

func findSetting(list []setting, name string) *setting {
	for i := range list {
		if list[i].name == name {
			return &list[i]
		}
	}
	return nil
}

// setting returns the entry of "tcp.rmem".
func settingOf(key string) *setting {
	block, name, _ := strings.Cut(key, ".")
	if block == "tcp" {
		return findSetting(tcpSettings, name)
	}
	return findSetting(mptcpSettings, name)
}

// typ is how the value of a setting is written.
func (s *setting) typ() decode.Type[string] {
	switch s.kind {
	case boolSetting:
		return canonical(decode.Type[bool]{What: "true or false", Parse: parseSysctlBool, Schema: decode.OneOf(decode.BoolType.Schema, &decode.Schema{Type: "integer"})},
			func(b bool) string { return fmt.Sprint(b) })
	case intSetting:
		return canonical(decode.IntType(0, math.MaxUint32), func(n int) string { return fmt.Sprint(n) })
	case timeSetting:
		return canonical(decode.TimeType, decode.FormatTime)
	case bufferSetting:
		return canonical(decode.SizeType, decode.FormatSize)
	}
	all := slices.Concat(s.words, s.kernel)
	slices.Sort(all)
	words := decode.EnumType(slices.Compact(all))
	if s.form == "" {
		return words
	}
	return decode.Type[string]{What: words.What + " " + s.example, Schema: decode.OneOf(words.Schema, decode.Pattern(s.form)),
		Parse: func(text string) (string, error) {
			if s.formed(text) {
				return text, nil
			}
			word, err := words.Parse(text)
			if err != nil {
				err = fmt.Errorf("%w, %s", err, s.example)
			}
			return word, err
		}}
}

// formed reports whether text is a word of the form.
func (s *setting) formed(text string) bool {
	return s.form != "" && regexp.MustCompile(s.form).MatchString(text)
}

func parseSysctlBool(s string) (bool, error) {
	switch s {
	case "1":
		return true, nil
	case "0":
		return false, nil
	}
	return decode.BoolType.Parse(s)
}

func canonical[T any](t decode.Type[T], format func(T) string) decode.Type[string] {
	return decode.Type[string]{What: t.What, Schema: t.Schema, Parse: func(s string) (string, error) {
		v, err := t.Parse(s)
		if err != nil {
			return "", err
		}
		return format(v), nil
	}}
}

// given is a setting as a block of the file says it.
type given struct {
	text string
	at   Position
}

// settingsBlock holds what one mptcp and one tcp block say, by "tcp.rmem".
type settingsBlock map[string]given

func (b settingsBlock) keys(block string, list []setting, m *decode.Map) {
	for i := range list {
		s := &list[i]
		t := s.typ()
		schema := func() *decode.Schema {
			if s.kind == bufferSetting {
				return decode.OneOf(t.Schema, &decode.Schema{Type: "array", Items: t.Schema, MinItems: 3, MaxItems: 3})
			}
			return t.Schema
		}
		m.Key(s.name, s.document(block), schema, func(n *decode.Node, path string) {
			if s.kind == bufferSetting && n.Kind == decode.List {
				b.buffer(block, s, n, path, m.Report())
			} else if text, ok := t.Read(m.Report(), n, path); ok {
				b[block+"."+s.name] = given{text, n.At}
			}
		})
	}
}

func (b settingsBlock) buffer(block string, s *setting, n *decode.Node, path string, r *decode.Report) {
	sizes, ok := decode.ReadList(r, n, path, decode.SizeType)
	if !ok {
		return
	}
	if len(sizes) != 3 || sizes[0] > sizes[1] || sizes[1] > sizes[2] {
		r.Errorf(n.At, "%s: wanted are three sizes, least, default, most", path)
		return
	}
	words := make([]string, 3)
	for i, size := range sizes {
		words[i] = decode.FormatSize(size)
	}
	b[block+"."+s.name] = given{strings.Join(words, " "), n.At}
}

func (s *setting) document(block string) string {
	name := map[string]string{"mptcp": "net.mptcp.", "tcp": "net.ipv4.tcp_"}[block] + s.name
	switch {
	case !s.sysctl && !s.ours:
		name = "not built yet"
	case !s.sysctl:
		name = "of the built-in stack alone"
	case !s.ours:
		name += ", of kernel stacks alone"
	}
	return fmt.Sprintf("%s; default %s (%s)", s.doc, s.def, name)
}

// overlay builds the settings of a host or a socket: defaults, then each block,
// key by key.
func overlay(blocks ...settingsBlock) Settings {
	s := Settings{MPTCP: map[string]string{}, TCP: map[string]string{}, Given: map[string]bool{}}
	for _, e := range mptcpSettings {
		s.MPTCP[e.name] = e.def
	}
	for _, e := range tcpSettings {
		s.TCP[e.name] = e.def
	}
	for _, b := range blocks {
		for key, g := range b {
			block, name, _ := strings.Cut(key, ".")
			if block == "tcp" {
				s.TCP[name] = g.text
			} else {
				s.MPTCP[name] = g.text
			}
			s.Given[key] = true
		}
	}
	return s
}

// checkSettings reports settings that a stack does not have. What it does anyway
// may be said.
func checkSettings(r *decode.Report, host string, stack Stack, perSocket bool, blocks ...settingsBlock) {
	last := settingsBlock{}
	for _, b := range blocks {
		maps.Copy(last, b)
	}
	for _, key := range slices.Sorted(maps.Keys(last)) {
		if strings.HasPrefix(key, "mptcp.") && !stack.MPTCP() {
			continue
		}
		wrong := settingOf(key).missing
		if stack.Kernel() {
			wrong = settingOf(key).missingInLinux
		}
		if text := wrong(last[key].text, perSocket); text != "" {
			text = strings.ReplaceAll(text, "STACK", fmt.Sprintf("%s runs %s", host, stack))
			r.Errorf(last[key].at, "%s%s", key, strings.ReplaceAll(text, "HOST", host))
		}
	}
}

// missing says why our stack cannot have a setting; "": it can.
func (s *setting) missing(text string, perSocket bool) string {
	switch {
	case perSocket && s.host:
		return " holds for a whole host; set it in topology.hosts.HOST"
	case !s.ours && text == s.fixed:
	case !s.ours && s.sysctl:
		return " is of kernel stacks alone (for the built-in one: known, not built yet); STACK"
	case !s.ours:
		return " is known, not built yet"
	case s.some && zero(text):
		return fmt.Sprintf(": the built-in stack has no %s here; STACK", text)
	case s.most > 0 && integer(text) > s.most:
		return fmt.Sprintf(": the built-in stack has 0 to %d here; STACK", s.most)
	case s.kind == wordSetting && !slices.Contains(s.words, text) && !s.formed(text):
		return fmt.Sprintf(": %q is of kernel stacks alone; STACK%s", text, decode.Allowed(s.words))
	}
	return ""
}

// missingInLinux says why a kernel stack cannot have a setting; "": it can.
func (s *setting) missingInLinux(text string, perSocket bool) string {
	switch {
	case !s.sysctl && text == s.def: // Linux does so anyway
	case !s.sysctl && !s.ours:
		return " is known, not built yet"
	case !s.sysctl:
		return " is of the built-in stack alone; STACK"
	case perSocket && !s.socket:
		return " holds for a whole kernel host; set it in topology.hosts.HOST"
	case s.kind == wordSetting && !slices.Contains(s.kernel, text):
		return fmt.Sprintf(": Linux has no %q; STACK%s", text, decode.Allowed(s.kernel))
	}
	return ""
}

// zero reports whether a value is 0; of three sizes the last counts.
func zero(text string) bool {
	words := strings.Fields(text)
	w := words[len(words)-1]
	return w == "0" || w[0] == '0' && (w[1] < '0' || w[1] > '9') && w[1] != '.'
}

// InForce returns the settings, by "tcp.rmem", that a stack was told and honours:
// all of the built-in one; of a kernel those that the file gave, and the congestion
// controller, which is always set. The others are the kernel's own affair.
func (s Settings) InForce(stack Stack) map[string]string {
	m := map[string]string{}
	add := func(block string, list []setting, values map[string]string) {
		for i := range list {
			e := &list[i]
			key := block + "." + e.name
			told := e.ours
			if stack.Kernel() {
				told = e.sysctl && s.Given[key] || key == "tcp.congestion_control"
			}
			if told {
				m[key] = values[e.name]
			}
		}
	}
	if stack.MPTCP() {
		add("mptcp", mptcpSettings, s.MPTCP)
	}
	add("tcp", tcpSettings, s.TCP)
	return m
}

package drill

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"mptcplab/mptcp/tcp"
)

// assertion is one statement of a code block with the tcp_info of its moment.
// Statements run after the last event.
type assertion struct {
	line int
	text string
	info map[string]int64
}

// code takes a block's statements and tcp_info as it is now.
func (r *run) code(c *Code) error {
	info, err := r.info()
	if err != nil {
		return err
	}
	for _, l := range statements(c.Text) {
		r.asserts = append(r.asserts, assertion{c.Line + l.line, l.text, info})
	}
	return nil
}

type statement struct {
	line int
	text string
}

// statements splits a block at newlines and semicolons; a backslash joins lines,
// "#" begins a comment.
func statements(text string) []statement {
	var list []statement
	cur, from := "", 0
	flush := func() {
		for part := range strings.SplitSeq(cur, ";") {
			if part = strings.TrimSpace(part); part != "" {
				list = append(list, statement{from, part})
			}
		}
		cur = ""
	}
	for i, l := range strings.Split(text, "\n") {
		l, _, _ = strings.Cut(l, "#")
		if cur == "" {
			from = i
		}
		l = strings.TrimRight(l, " \t\r")
		if strings.HasSuffix(l, "\\") {
			cur += strings.TrimSuffix(l, "\\") + " "
			continue
		}
		cur += l
		if strings.Count(cur, "(") > strings.Count(cur, ")") {
			continue
		}
		flush()
	}
	flush()
	return list
}

// check runs the statement.
func (a *assertion) check() error {
	what, rest := a.text, ""
	if i := strings.IndexAny(a.text, " (\t"); i >= 0 {
		what, rest = a.text[:i], a.text[i:]
	}
	switch what {
	case "print", "pass", "import":
		return nil
	case "assert":
	default:
		return unsupported("the statement %q", a.text)
	}
	e := &evaluator{src: rest, info: a.info}
	v, err := e.or()
	if err != nil {
		return err
	}
	e.space()
	switch {
	case e.pos < len(e.src) && e.src[e.pos] != ',':
		return unsupported("%q in an assertion", e.src[e.pos:])
	case v != 0:
		return nil
	}
	message := ""
	if e.pos < len(e.src) {
		e.pos++
		if v, err := e.or(); err == nil {
			message = fmt.Sprintf(" (%s)", strconv.FormatFloat(v, 'f', -1, 64))
		}
	}
	return errors.New("AssertionError: " + strings.TrimSpace(a.text) + message)
}

// info returns tcp_info of the current connection by the kernel's names.
func (r *run) info() (map[string]int64, error) {
	f := r.current
	if f == nil {
		return nil, errors.New("there is no connection")
	}
	in, ok := r.infoOf(f)
	if !ok {
		return map[string]int64{"tcpi_state": int64(tcp.StateClosed)}, nil
	}
	return infoNames(&in), nil
}

// infoNames returns the members of struct tcp_info.
func infoNames(in *tcp.Info) map[string]int64 {
	us := func(d time.Duration) int64 { return int64(d / time.Microsecond) }
	ms := func(d time.Duration) int64 { return int64(d / time.Millisecond) }
	limited := int64(0)
	if in.DeliveryRateAppLimited {
		limited = 1
	}
	return map[string]int64{
		"tcpi_state": int64(in.State), "tcpi_ca_state": int64(in.CAState), "tcpi_retransmits": int64(in.Retransmits),
		"tcpi_probes": int64(in.Probes), "tcpi_backoff": int64(in.Backoff), "tcpi_options": int64(in.Options),
		"tcpi_snd_wscale": int64(in.SndWScale), "tcpi_rcv_wscale": int64(in.RcvWScale),
		"tcpi_delivery_rate_app_limited": limited, "tcpi_fastopen_client_fail": int64(in.TFOFail),
		"tcpi_rto": us(in.RTO), "tcpi_ato": us(in.ATO), "tcpi_snd_mss": int64(in.SndMSS), "tcpi_rcv_mss": int64(in.RcvMSS),
		"tcpi_unacked": int64(in.Unacked), "tcpi_sacked": int64(in.Sacked), "tcpi_lost": int64(in.Lost),
		"tcpi_retrans": int64(in.Retrans), "tcpi_fackets": 0,
		"tcpi_last_data_sent": ms(in.LastDataSent), "tcpi_last_ack_sent": 0,
		"tcpi_last_data_recv": ms(in.LastDataRecv), "tcpi_last_ack_recv": ms(in.LastAckRecv),
		"tcpi_pmtu": int64(in.PMTU), "tcpi_rcv_ssthresh": int64(in.RcvSSThresh), "tcpi_rtt": us(in.RTT), "tcpi_rttvar": us(in.RTTVar),
		"tcpi_snd_ssthresh": int64(in.SndSSThresh), "tcpi_snd_cwnd": int64(in.SndCwnd), "tcpi_advmss": int64(in.AdvMSS),
		"tcpi_reordering": int64(in.Reordering), "tcpi_rcv_rtt": us(in.RcvRTT), "tcpi_rcv_space": int64(in.RcvSpace),
		"tcpi_total_retrans": int64(in.TotalRetrans), "tcpi_pacing_rate": int64(in.PacingRate), "tcpi_max_pacing_rate": -1,
		"tcpi_bytes_acked": int64(in.BytesAcked), "tcpi_bytes_received": int64(in.BytesReceived),
		"tcpi_segs_out": int64(in.SegsOut), "tcpi_segs_in": int64(in.SegsIn), "tcpi_notsent_bytes": int64(in.NotSentBytes),
		"tcpi_min_rtt": us(in.MinRTT), "tcpi_data_segs_in": int64(in.DataSegsIn), "tcpi_data_segs_out": int64(in.DataSegsOut),
		"tcpi_delivery_rate": int64(in.DeliveryRate), "tcpi_busy_time": us(in.BusyTime),
		"tcpi_rwnd_limited": us(in.RwndLimited), "tcpi_sndbuf_limited": us(in.SndbufLimited),
		"tcpi_delivered": int64(in.Delivered), "tcpi_delivered_ce": int64(in.DeliveredCE),
		"tcpi_bytes_sent": int64(in.BytesSent), "tcpi_bytes_retrans": int64(in.BytesRetrans),
		"tcpi_dsack_dups": int64(in.DSACKDups), "tcpi_reord_seen": int64(in.ReordSeen), "tcpi_rcv_ooopack": int64(in.RcvOOOPack),
		"tcpi_snd_wnd": int64(in.SndWnd), "tcpi_rcv_wnd": int64(in.RcvWnd), "tcpi_rehash": 0, "tcpi_total_rto": int64(in.TotalRTO),
	}
}

// infoOf returns the tcp.Info of a flow; false: its connection is gone.
func (r *run) infoOf(f *flow) (tcp.Info, bool) {
	if fd, ok := r.fds[f.fd]; ok {
		if c := r.sock.Conn(fd); c != nil {
			for _, sf := range c.Info(r.now).Subflows {
				if sf.Local == f.local && sf.Remote == f.remote {
					return sf.TCP, true
				}
			}
		}
	}
	for _, c := range r.stack.Conns() {
		for _, sf := range c.Info(r.now).Subflows {
			if sf.Local == f.local && sf.Remote == f.remote {
				return sf.TCP, true
			}
		}
	}
	state, ok := r.stack.TCPState(f.local, f.remote)
	return tcp.Info{State: state}, ok
}

// constants are the names of Linux in assertions.
var constants = map[string]int64{
	"TCP_ESTABLISHED": 1, "TCP_SYN_SENT": 2, "TCP_SYN_RECV": 3, "TCP_FIN_WAIT1": 4, "TCP_FIN_WAIT2": 5, "TCP_TIME_WAIT": 6,
	"TCP_CLOSE": 7, "TCP_CLOSE_WAIT": 8, "TCP_LAST_ACK": 9, "TCP_LISTEN": 10, "TCP_CLOSING": 11,
	"TCP_CA_Open": 0, "TCP_CA_Disorder": 1, "TCP_CA_CWR": 2, "TCP_CA_Recovery": 3, "TCP_CA_Loss": 4,
	"TCPI_OPT_TIMESTAMPS": 1, "TCPI_OPT_SACK": 2, "TCPI_OPT_WSCALE": 4, "TCPI_OPT_ECN": 8, "TCPI_OPT_ECN_SEEN": 16, "TCPI_OPT_SYN_DATA": 32,
	"True": 1, "False": 0,
}

// evaluator computes an expression of numbers in the syntax of Python.
type evaluator struct {
	src  string
	pos  int
	info map[string]int64
}

func (e *evaluator) space() {
	for e.pos < len(e.src) && (e.src[e.pos] == ' ' || e.src[e.pos] == '\t' || e.src[e.pos] == '\n' || e.src[e.pos] == '\r') {
		e.pos++
	}
}

// take takes one of the operators, the longest first; "" if none is there.
func (e *evaluator) take(ops ...string) string {
	e.space()
	for _, op := range ops {
		rest := e.src[e.pos:]
		if !strings.HasPrefix(rest, op) {
			continue
		}
		if isWord(op[0]) && len(rest) > len(op) && isWord(rest[len(op)]) {
			continue
		}
		e.pos += len(op)
		return op
	}
	return ""
}

func (e *evaluator) or() (float64, error) {
	v, err := e.and()
	for err == nil && e.take("or") != "" {
		var w float64
		if w, err = e.and(); v == 0 {
			v = w
		}
	}
	return v, err
}

func (e *evaluator) and() (float64, error) {
	v, err := e.not()
	for err == nil && e.take("and") != "" {
		var w float64
		if w, err = e.not(); v != 0 {
			v = w
		}
	}
	return v, err
}

func (e *evaluator) not() (float64, error) {
	if e.take("not") == "" {
		return e.comparison()
	}
	v, err := e.not()
	return truth(v == 0), err
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// comparison is a < b <= c: all must hold.
func (e *evaluator) comparison() (float64, error) {
	v, err := e.binary(0)
	if err != nil {
		return 0, err
	}
	result, chained := true, false
	for {
		if in := e.take("in", "not in"); in != "" {
			ok, err := e.member(v)
			return truth(result && ok == (in == "in")), err
		}
		op := e.take("==", "!=", "<=", ">=", "<", ">")
		if op == "" {
			break
		}
		w, err := e.binary(0)
		if err != nil {
			return 0, err
		}
		chained = true
		holds := map[string]bool{"==": v == w, "!=": v != w, "<=": v <= w, ">=": v >= w, "<": v < w, ">": v > w}
		result = result && holds[op]
		v = w
	}
	if chained {
		return truth(result), nil
	}
	return v, nil
}

// levels are the binary operators, loosest first.
var levels = [][]string{{"|"}, {"^"}, {"&"}, {"<<", ">>"}, {"+", "-"}, {"*", "//", "/", "%"}}

func (e *evaluator) binary(level int) (float64, error) {
	if level == len(levels) {
		return e.unary()
	}
	v, err := e.binary(level + 1)
	for err == nil {
		op := e.take(levels[level]...)
		if op == "" {
			break
		}
		var w float64
		if w, err = e.binary(level + 1); err != nil {
			break
		}
		v, err = compute(op, v, w)
	}
	return v, err
}

func compute(op string, v, w float64) (float64, error) {
	a, b := int64(v), int64(w)
	switch op {
	case "|":
		return float64(a | b), nil
	case "^":
		return float64(a ^ b), nil
	case "&":
		return float64(a & b), nil
	case "<<":
		return float64(a << (uint64(b) & 63)), nil
	case ">>":
		return float64(a >> (uint64(b) & 63)), nil
	case "+":
		return v + w, nil
	case "-":
		return v - w, nil
	case "*":
		return v * w, nil
	}
	if w == 0 {
		return 0, errors.New("ZeroDivisionError")
	}
	switch op {
	case "%":
		return v - w*math.Floor(v/w), nil
	case "//":
		return math.Floor(v / w), nil
	}
	return v / w, nil
}

// functions are those of Python that make one number of some.
var functions = map[string]func(v []float64) float64{
	"abs":   func(v []float64) float64 { return math.Abs(v[0]) },
	"int":   func(v []float64) float64 { return math.Trunc(v[0]) },
	"float": func(v []float64) float64 { return v[0] },
	"round": func(v []float64) float64 { return math.RoundToEven(v[0]) },
	"min":   slices.Min[[]float64],
	"max":   slices.Max[[]float64],
}

// list takes the rest of a list, up to its end.
func (e *evaluator) list(end string) ([]float64, error) {
	var list []float64
	for {
		if e.take(end) != "" {
			return list, nil
		}
		v, err := e.or()
		if err != nil {
			return nil, err
		}
		list = append(list, v)
		if e.take(",") == "" {
			if e.take(end) == "" {
				return nil, unsupported("%q in an assertion", e.src)
			}
			return list, nil
		}
	}
}

// member is what follows "in": a list or a tuple.
func (e *evaluator) member(v float64) (bool, error) {
	end := map[string]string{"(": ")", "[": "]"}[e.take("(", "[")]
	if end == "" {
		return false, unsupported("%q in an assertion", e.src)
	}
	list, err := e.list(end)
	return slices.Contains(list, v), err
}

func (e *evaluator) unary() (float64, error) {
	switch e.take("(", "-", "~") {
	case "(":
		v, err := e.or()
		if err == nil && e.take(")") == "" {
			err = unsupported("%q in an assertion", e.src)
		}
		return v, err
	case "-":
		v, err := e.unary()
		return -v, err
	case "~":
		v, err := e.unary()
		return float64(^int64(v)), err
	}
	e.space()
	if e.pos < len(e.src) && e.src[e.pos] == '.' {
		return e.number("")
	}
	n := span(e.src[e.pos:], isWord)
	word := e.src[e.pos : e.pos+n]
	if n == 0 {
		return 0, unsupported("%q in an assertion", e.src[e.pos:])
	}
	e.pos += n
	if isDigit(word[0]) {
		return e.number(word)
	}
	if v, ok := e.info[word]; ok {
		return float64(v), nil
	}
	if v, ok := constants[word]; ok {
		return float64(v), nil
	}
	if f := functions[word]; f != nil && e.take("(") != "" {
		list, err := e.list(")")
		if err == nil && len(list) == 0 {
			err = unsupported("%s of nothing", word)
		}
		if err != nil {
			return 0, err
		}
		return f(list), nil
	}
	return 0, unsupported("the name %s", word)
}

// number takes the rest of a number, of which word was taken.
func (e *evaluator) number(word string) (float64, error) {
	if n := span(e.src[e.pos:], func(c byte) bool { return c == '.' || isDigit(c) }); n > 0 {
		word += e.src[e.pos : e.pos+n]
		e.pos += n
	}
	if v, err := strconv.ParseInt(word, 0, 64); err == nil {
		return float64(v), nil
	}
	v, err := strconv.ParseFloat(word, 64)
	if err != nil {
		return 0, unsupported("the number %s", word)
	}
	return v, nil
}

package drill

import (
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"mptcplab/mptcp/clock"
	"mptcplab/mptcp/wire"
)

// TestRandomScriptsOnKernel runs random scripts on this machine's kernel and on the
// stack and compares every packet that they send and every result of a call: order,
// flags, numbers, SACK blocks, and times. Scripts of which two runs on the kernel differ from
// each other, since timers meet, say nothing. DRILL_RANDOM=FROM-TO are the seeds.
func TestRandomScriptsOnKernel(t *testing.T) {
	from, to, ok := strings.Cut(os.Getenv("DRILL_RANDOM"), "-")
	if !ok {
		t.Skip("DRILL_RANDOM=1-200 compares random scripts with this machine's kernel (as root)")
	}
	first, err1 := strconv.ParseUint(from, 10, 64)
	last, err2 := strconv.ParseUint(to, 10, 64)
	if err1 != nil || err2 != nil {
		t.Fatal("DRILL_RANDOM: want two numbers")
	}
	for seed := first; seed <= last; seed++ {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			src := randomScript(seed)
			once := kernelTrace(t, src)
			var ours []observation
			where := -1
			for _, late := range []float64{0, 0.03, 0.06, 0.12} {
				trace := stackTrace(t, src, late)
				at := firstDifference(once, trace)
				if at < 0 {
					return
				}
				if at > where {
					where, ours = at, trace
				}
			}
			if again := kernelTrace(t, src); firstDifference(once, again) >= 0 {
				t.Skip("the kernel's two runs differ")
			}
			t.Errorf("%s\nkernel:\n%s\nstack:\n%s\ndiffer from line %d on", src, printTrace(once, where), printTrace(ours, where), where+1)
		})
	}
}

// observation is a packet or the failure of a call.
type observation struct {
	at   time.Duration // since the beginning
	text string
}

func printTrace(trace []observation, where int) string {
	var b strings.Builder
	for i, o := range trace {
		mark := ' '
		if i == where {
			mark = '>'
		}
		fmt.Fprintf(&b, "%c %9.6f %s\n", mark, o.at.Seconds(), o.text)
	}
	return b.String()
}

// firstDifference returns the first place at which the traces differ, -1 if there is none.
func firstDifference(a, b []observation) int {
	for i := range max(len(a), len(b)) {
		if i >= len(a) || i >= len(b) || a[i].text != b[i].text {
			return i
		}
		if d := a[i].at - b[i].at; d < -40*time.Millisecond || d > 110*time.Millisecond {
			return i
		}
	}
	return -1
}

// line is the packet without what differs from run to run.
func (r *run) line(p packet) (observation, bool) {
	l, ok := parseLive(p)
	if !ok {
		return observation{}, false
	}
	local, remote := l.ends()
	for _, f := range r.flows {
		if f.is(local, remote) {
			var b strings.Builder
			s := &l.seg
			seq, ack := r.relative(s.Seq, f.locISN), r.relative(s.Ack, f.remISN)
			if s.Flags&wire.SYN != 0 {
				seq = 0
			}
			numbers(&b, s.Flags, seq, len(s.Payload), ack, -1)
			for _, o := range split(l.opts) {
				switch {
				case len(o) == 0 || o[0] == kindNOP || o[0] == kindTS:
				default:
					b.WriteString(" " + r.optionText(o, f))
				}
			}
			return observation{p.at.Sub(start), b.String()}, true
		}
	}
	return observation{p.at.Sub(start), l.seg.Flags.String() + " of no connection"}, true
}

// stackTrace runs a script on the stack, whose timers are late by that part of their
// time: Linux keeps those of more than 64 and 512 jiffies to the next 8 and 64.
func stackTrace(t *testing.T, src string, late float64) []observation {
	s, err := Parse("random.pkt", src, nil)
	if err != nil {
		t.Fatal(err)
	}
	r := newRun(s, defaults(IPv4))
	r.set.tolerance = time.Second
	var trace []observation
	if s.Init != nil {
		if err := r.command(s.Init.Text); err != nil {
			t.Fatal(err)
		}
	}
	for i := range s.Events {
		e := &s.Events[i]
		var err error
		if isOut(e) {
			err = r.event(e)
		} else {
			origin := r.now
			r.lateStep(max(r.now, origin.Add(e.Time.At)), late)
			err = r.perform(e, origin)
		}
		if i+1 == len(s.Events) || !isOut(&s.Events[i+1]) {
			trace = r.take(trace)
		}
		trace = outcome(trace, e, r.now, err)
		if err != nil && isOut(e) {
			return trace
		}
	}
	return trace
}

// lateStep is step with timers that are late.
func (r *run) lateStep(to clock.Instant, late float64) {
	for {
		d := r.deadline()
		if d > to {
			break
		}
		at := max(d, r.now)
		at = at.Add(time.Duration(float64(at.Sub(r.now)) * late))
		if at > to {
			r.now = to
			return
		}
		r.turn(at)
	}
	r.turn(to)
}

func (r *run) take(trace []observation) []observation {
	for _, p := range r.sent {
		if o, ok := r.line(p); ok {
			trace = append(trace, o)
		}
	}
	r.sent = nil
	return trace
}

// outcome adds the failure of an event.
func outcome(trace []observation, e *Event, now clock.Instant, err error) []observation {
	if err == nil {
		return trace
	}
	return append(trace, observation{now.Sub(start), fmt.Sprintf("line %d: %v", e.Line, err)})
}

func isOut(e *Event) bool { return e.Packet != nil && e.Packet.Out }

// kernelTrace runs a script on the kernel.
func kernelTrace(t *testing.T, src string) []observation {
	t.Helper()
	result := make(chan []observation, 1)
	problem := make(chan error, 1)
	go func() { // on a thread that dies with its namespace
		runtime.LockOSThread()
		trace, err := tryKernelTrace(src)
		result <- trace
		problem <- err
	}()
	trace := <-result
	if err := <-problem; err != nil {
		t.Fatal(err)
	}
	return trace
}

func tryKernelTrace(src string) ([]observation, error) {
	k, err := newKernelRunOf("random.pkt", src)
	if err != nil {
		return nil, err
	}
	defer k.leave()
	k.set.tolerance = time.Second
	if err := k.enter(); err != nil {
		return nil, err
	}
	var trace []observation
	take := func() {
		for {
			select {
			case p := <-k.heard:
				if o, ok := k.line(p); ok {
					trace = append(trace, o)
				}
				continue
			default:
			}
			return
		}
	}
	for i := range k.script.Events {
		e := &k.script.Events[i]
		err := k.kernelEvent(e)
		if i+1 == len(k.script.Events) || !isOut(&k.script.Events[i+1]) {
			time.Sleep(2 * time.Millisecond)
			take()
		}
		trace = outcome(trace, e, k.now, err)
		if err != nil && isOut(e) {
			return trace, nil
		}
	}
	return trace, nil
}

// randomScript returns the script of a seed: a connection, and what an application
// and a peer may do to it.
func randomScript(seed uint64) string {
	g := &author{Rand: rand.New(rand.NewPCG(seed, 0))}
	g.begin()
	for range 6 + g.IntN(16) {
		g.act()
	}
	g.line("+.9 `true`")
	return g.b.String()
}

// author writes a random script and keeps what the stack may have sent at most.
type author struct {
	*rand.Rand
	b       strings.Builder
	written int   // bytes, and the FIN
	ends    []int // of the segments not acknowledged, as if each write had its own
	acked   int
	sent    int // by the peer, in order
	mss     int
	fin     bool // the peer's is sent
	sack    bool
	scale   int // of the peer; -1: none
	window  int // of the peer, scaled
	closed  bool
	read    int // bytes, by the application
}

func (g *author) line(format string, args ...any) { fmt.Fprintf(&g.b, format+"\n", args...) }

func (g *author) chance(percent int) bool { return g.IntN(100) < percent }

func pick[T any](g *author, of ...T) T { return of[g.IntN(len(of))] }

// wait is the time of the next event: not near those of the stack's timers.
func (g *author) wait() string {
	return fmt.Sprintf("+.%03d", pick(g, 3, 3, 3, 11, 17, 23, 61, 73, 117, 131, 317, 730))
}

// synOptions are those of the peer's SYN.
func (g *author) synOptions() string {
	o := fmt.Sprintf("<mss %d", g.mss)
	if g.sack {
		o += ",sackOK,nop,nop"
	} else {
		o += ",nop,nop,nop,nop"
	}
	if g.scale >= 0 {
		o += fmt.Sprintf(",nop,wscale %d", g.scale)
	}
	return o + ">"
}

// begin opens the connection, as server or as client.
func (g *author) begin() {
	g.mss = pick(g, 1000, 1460, 536)
	g.sack = g.chance(70)
	g.scale = pick(g, -1, 0, 7, 7, 7)
	g.window = pick(g, 65535, 65535, 20000, 5000, 1000)
	if g.scale > 0 {
		g.window = pick(g, 500, 65535, 1000, 50)
	}
	if g.chance(20) {
		g.line("`sysctl -q net.ipv4.tcp_ecn=1`")
	}
	if g.chance(60) {
		g.line("0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3")
		g.line("+0 setsockopt(3, SOL_SOCKET, SO_REUSEADDR, [1], 4) = 0")
		g.line("+0 bind(3, ..., ...) = 0")
		g.line("+0 listen(3, 1) = 0")
		g.line("+0 < S 0:0(0) win %d %s", min(g.window, 65535), g.synOptions())
		g.line("+0 > S. 0:0(0) ack 1 <...>")
		g.line("%s < . 1:1(0) ack 1 win %d", pick(g, "+.02", "+.1"), g.window)
		g.line("+0 accept(3, ..., ...) = 4")
		g.line("+0 fcntl(4, F_SETFL, O_RDWR|O_NONBLOCK) = 0")
	} else {
		g.line("0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 4")
		g.line("+0 fcntl(4, F_SETFL, O_RDWR|O_NONBLOCK) = 0")
		g.line("+0 connect(4, ..., ...) = -1 EINPROGRESS (Operation now in progress)")
		g.line("+0 > S 0:0(0) <...>")
		g.line("%s < S. 0:0(0) ack 1 win %d %s", pick(g, "+.02", "+.1"), min(g.window, 65535), g.synOptions())
		g.line("+0 > . 1:1(0) ack 1 <...>")
	}
	if g.chance(20) {
		g.line("+0 setsockopt(4, SOL_TCP, TCP_NODELAY, [1], 4) = 0")
	}
}

// unread is what the application may read at most.
func (g *author) unread() int {
	n := g.sent - g.read
	g.read = g.sent
	return n
}

// ack is a number that the peer may acknowledge.
func (g *author) ack() int {
	if g.chance(75) {
		for range 1 + g.IntN(8) {
			if len(g.ends) > 0 {
				g.acked, g.ends = g.ends[0], g.ends[1:]
			}
		}
	}
	return 1 + g.acked
}

// blocks are SACK blocks of what may be in flight.
func (g *author) blocks() string {
	most := min(len(g.ends), 10)
	if !g.sack || most < 2 || !g.chance(60) {
		return ""
	}
	from := g.IntN(most - 1)
	to := from + 1 + g.IntN(most-1-from)
	return fmt.Sprintf(" <sack %d:%d,nop,nop>", 1+g.ends[from], 1+g.ends[to])
}

// act is one event.
func (g *author) act() {
	w := g.wait()
	switch n := g.IntN(100); {
	case n < 22 && !g.closed:
		n := pick(g, 1, 100, g.mss, g.mss*2, g.mss*5+3, 20*g.mss, 700)
		for at := g.written; at < g.written+n; {
			at = min(at+g.mss, g.written+n)
			g.ends = append(g.ends, at)
		}
		g.written += n
		g.line("%s write(4, ..., %d) = %d", w, n, n)
	case n < 55:
		ack := g.ack()
		g.line("%s < . %d:%d(0) ack %d win %d%s", w, 1+g.sent, 1+g.sent, ack, g.window, g.blocks())
	case n < 60:
		g.window = pick(g, g.window, 0, g.window/2+1, 300)
		g.line("%s < . %d:%d(0) ack %d win %d", w, 1+g.sent, 1+g.sent, g.ack(), g.window)
	case n < 80:
		n := pick(g, 1, 100, g.mss, g.mss)
		at := g.sent
		switch g.IntN(8) {
		case 0:
			at += pick(g, 1, g.mss, 2*g.mss, 3*g.mss)
		case 1:
			at = max(0, at-pick(g, 1, g.mss, 2*g.mss))
		default:
			if !g.fin {
				g.sent += n
			}
		}
		g.line("%s < P. %d:%d(%d) ack %d win %d", w, 1+at, 1+at+n, n, g.ack(), g.window)
	case n < 86:
		g.line("%s read(4, ..., %d) = %d", w, 100000, g.unread())
	case n < 89 && !g.fin:
		g.line("%s < F. %d:%d(0) ack %d win %d", w, 1+g.sent, 1+g.sent, g.ack(), g.window)
		g.fin = true
		g.sent++
	case n < 92 && !g.closed:
		g.closed = true
		g.line("%s %s", w, pick(g, "close(4) = 0", "shutdown(4, SHUT_WR) = 0", "shutdown(4, SHUT_RDWR) = 0", "shutdown(4, SHUT_WR) = 0"))
		g.written++
		g.ends = append(g.ends, g.written)
	case n < 94:
		seq := 1 + g.sent + pick(g, 0, 0, 1, 100, -1, 10_000_000)
		g.line("%s < %s %d:%d(0) ack %d win %d", w, pick(g, "R.", "R", "S", "S.", "."), seq, seq, g.ack(), g.window)
	default:
		g.line("+.23 `true`")
	}
}

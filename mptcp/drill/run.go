package drill

import (
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"time"

	"mptcplab/mptcp"
	"mptcplab/mptcp/clock"
	"mptcplab/mptcp/machine"
	"mptcplab/mptcp/pm"
	"mptcplab/mptcp/socket"
	"mptcplab/mptcp/tcp"
)

// patience is how long after its latest time an expected packet may come.
const patience = 2 * time.Second

// run is one run of one script.
type run struct {
	script  *Script
	set     settings
	stack   *mptcp.Stack
	link    mptcp.Link
	sock    *socket.Layer
	now     clock.Instant
	buf     []byte
	sent    []packet // by the stack, not looked at yet
	flows   []*flow
	current *flow
	keys    keyring

	fds      map[int]int // of the script to those of the layer
	files    map[int]*file
	pending  *blockedCall
	counters map[string]uint64 // at the last nstat -n
	asserts  []assertion
	peerPort uint16
	steps    int
	previous clock.Instant // time of the event before
	sysctl   sysctls
}

// packet is one that the stack sent.
type packet struct {
	at   clock.Instant
	data []byte
}

// start is when runs begin: not 0, so that nothing depends on that.
const start = clock.Instant(1000 * time.Second)

// RunFile runs the script in a file in one mode. The error is a *SyntaxError or a
// *Failure, or it tells why the file cannot be read.
func RunFile(path string, mode Mode, defines map[string]string) error {
	src, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	return Run(path, string(src), mode, defines)
}

// Run runs a script. file is for messages.
func Run(file, src string, mode Mode, defines map[string]string) error {
	set := defaults(mode)
	defs := map[string]string{"TFO_COOKIE": cookies[mode], "CODE": "0", "CMSG_LEVEL_IP": "SOL_IP", "CMSG_TYPE_RECVERR": "IP_RECVERR"}
	if mode != IPv4 {
		defs["CMSG_LEVEL_IP"], defs["CMSG_TYPE_RECVERR"] = "SOL_IPV6", "IPV6_RECVERR"
	}
	maps.Copy(defs, defines)
	s, err := Parse(file, src, defs)
	if err != nil {
		return err
	}
	n := len(defs)
	for _, o := range s.Options {
		if err := set.apply(file, o, defs); err != nil {
			return err
		}
	}
	if len(defs) != n { // --define in the script: its words mean something else now
		if s, err = Parse(file, src, defs); err != nil {
			return err
		}
	}
	return newRun(s, set).execute()
}

// newRun builds the stack of a script.
func newRun(s *Script, set settings) *run {
	r := &run{script: s, set: set, now: start, previous: start, buf: make([]byte, machine.BufferSize),
		fds: make(map[int]int), files: make(map[int]*file), peerPort: 32768, sysctl: defaultSysctls()}
	r.keys = keyring{vars: make(map[string]uint64), addrs: make(map[string]address), highest: set.remote, sutNext: 1}
	r.link = mptcp.Link{Name: "tun0", Up: true, MTU: set.mtu, Prefixes: []netip.Prefix{set.local},
		Routes: []mptcp.Route{{Prefix: netip.PrefixFrom(set.local.Addr(), 0).Masked()}}}
	var env mptcp.Env
	env.Links = []mptcp.Link{r.link}
	env.Host.Default = r.sysctl.config()
	env.Host.Limits = pm.Limits{Subflows: 2} // Linux's
	env.Host.Sysctl.FastOpen = 0x70403
	env.Host.Sysctl.FastOpenKeys, _ = fastOpenKeys("a1a1a1a1-b2b2b2b2-c3c3c3c3-d4d4d4d4")
	env.Seed = [32]byte{'d', 'r', 'i', 'l', 'l'}
	r.stack = mptcp.New(env)
	r.sock = socket.New(r.stack, env.Host.Default)
	r.counters = r.readCounters()
	return r
}

// Failure is an event that did not go as the script says.
type Failure struct {
	File string
	Line int
	Text string // without the place; may have several lines
}

// Error returns FILE:LINE: error text.
func (f *Failure) Error() string { return fmt.Sprintf("%s:%d: %s", f.File, f.Line, f.Text) }

// execute runs all events.
func (r *run) execute() error {
	if c := r.script.Init; c != nil {
		if err := r.command(c.Text); err != nil {
			return r.fail(c.Line, "error executing init command", err)
		}
	}
	r.step(r.now)
	err := r.events()
	if c := r.script.Cleanup; c != nil && err == nil {
		if e := r.command(c.Text); e != nil {
			return r.fail(c.Line, "error executing cleanup command", e)
		}
	}
	return err
}

// fail makes an error a *Failure, or an error of support a *SyntaxError.
func (r *run) fail(line int, what string, err error) error {
	var unsupported *unsupportedError
	if errors.As(err, &unsupported) {
		return &SyntaxError{r.script.File, line, unsupported.Error()}
	}
	return &Failure{r.script.File, line, what + ": " + err.Error()}
}

// unsupportedError is about something that a script may say and that this
// interpreter does not know.
type unsupportedError struct{ text string }

func (e *unsupportedError) Error() string { return e.text + " is not supported" }

func unsupported(format string, args ...any) error {
	return &unsupportedError{fmt.Sprintf(format, args...)}
}

func (r *run) events() error {
	for i := range r.script.Events {
		e := &r.script.Events[i]
		if err := r.event(e); err != nil {
			return err
		}
		r.previous = r.now
	}
	if err := r.awaitCall(time.Second); err != nil {
		return err
	}
	for _, a := range r.asserts {
		if err := a.check(); err != nil {
			return r.fail(a.line, "error executing code", err)
		}
	}
	return nil
}

// event runs one event.
func (r *run) event(e *Event) error {
	origin := r.now
	if !e.Time.Relative {
		origin = start
	}
	if e.Packet != nil && e.Packet.Out {
		if err := r.expectPacket(e, origin); err != nil {
			return r.fail(e.Line, "error handling packet", err)
		}
		return nil
	}
	at := origin.Add(e.Time.At)
	if at < r.now {
		at = r.now
	}
	r.step(at)
	return r.perform(e, origin)
}

// perform does what an event says; what is to happen before it has happened.
func (r *run) perform(e *Event, origin clock.Instant) error {
	if err := r.checkCall(); err != nil {
		return err
	}
	if e.Call != nil { // one blocking call at a time
		if err := r.awaitCall(time.Second); err != nil {
			return err
		}
	}
	switch {
	case e.Packet != nil:
		if err := r.inject(e.Packet); err != nil {
			return r.fail(e.Line, "error handling packet", err)
		}
		return r.checkCall()
	case e.Command != nil:
		if err := r.command(e.Command.Text); err != nil {
			return r.fail(e.Line, "error executing `"+strings.TrimSpace(e.Command.Text)+"` command", err)
		}
	case e.Code != nil:
		if err := r.code(e.Code); err != nil {
			return r.fail(e.Line, "error executing code", err)
		}
	default:
		return r.runCall(e, origin)
	}
	return nil
}

// stepBound bounds the timers of one run: more is a stack that spins.
const stepBound = 1 << 20

// deadline is when the stack or a blocked call wants time to pass.
func (r *run) deadline() clock.Instant {
	d := r.stack.Deadline()
	if r.pending != nil {
		d = clock.Min(d, r.pending.op.Deadline())
	}
	return d
}

// step lets time pass to the instant to.
func (r *run) step(to clock.Instant) {
	for r.deadline() <= to {
		r.turn(max(r.deadline(), r.now))
	}
	r.turn(to)
}

// turn advances the stack to now and drains it; a blocked call tries again.
func (r *run) turn(now clock.Instant) {
	if r.steps++; r.steps > stepBound {
		panic("BUG: the stack does not let time pass")
	}
	r.now = now
	r.stack.Advance(now)
	r.drain()
	r.retry()
}

// drain takes what the stack sends.
func (r *run) drain() {
	for {
		_, n, ok := r.stack.Output(r.now, r.buf)
		if !ok {
			break
		}
		r.sent = append(r.sent, packet{r.now, append([]byte(nil), r.buf[:n]...)})
	}
	for {
		if _, ok := r.stack.NextEvent(); !ok {
			break
		}
	}
	r.sock.Observe(r.now)
}

// sysctls are the settings of the kernel that scripts change.
type sysctls struct {
	cfg mptcp.Config
}

// defaultSysctls is what defaults.sh sets.
func defaultSysctls() sysctls {
	return sysctls{mptcp.Config{TCP: tcp.Config{AsLinux: true, SYNRetries: 5, SYNACKRetries: 5, SYNLinearTimeouts: 4, MaxWindow: 15728640, NoIdleRestart: true, ECN: tcp.ECNOff}, RecvBufferMax: 15728640, SendBuffer: 262144}}
}

func (s *sysctls) config() mptcp.Config { return s.cfg }

// short is a name for messages: the last two parts of a path.
func short(path string) string {
	return filepath.Join(filepath.Base(filepath.Dir(path)), filepath.Base(path))
}

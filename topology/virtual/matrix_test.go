package virtual

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"mptcplab/impairments"
	"mptcplab/mptcp"
	"mptcplab/mptcp/clock"
	"mptcplab/mptcp/machine"
	"mptcplab/mptcp/pm"
	"mptcplab/mptcp/wire"
	"mptcplab/topology"
	"mptcplab/workloads"
)

// The middlebox matrix: each kind of middlebox, for what the client sends, for what
// the server sends, and for both. Whatever happens, both streams arrive byte for byte
// (but for payload that is edited and has no checksum, which nobody can see), nothing
// hangs, and the counters say exactly what RFC 8684, section 3.7 and Linux 6.18 lead
// one to expect: Linux was run through the same machines on namespaces.

// A boxRow is one kind of middlebox. It stands on the only path, or with paths 2 on the
// one that joins.
type boxRow struct {
	name     string
	rules    []impairments.Rule  // for the direction of the column
	impair   *impairments.Config // and how the link behaves then
	paths    int
	checksum bool
	jumbo    bool // the path takes longer packets than the hosts send
	nat      bool // the router translates addresses
	pause    bool // the applications are silent for two seconds
	want     func(dir int) outcome
}

// An outcome is what a row leads to. Counters are named without MPTcpExt, each is 1
// unless =N follows; those that are not named are 0.
type outcome struct {
	client, server string
	broken         bool          // the streams differ, nobody can know, and counters are anyone's guess
	fails          bool          // the client gives up
	idle           bool          // the middlebox finds nothing to do
	silence        time.Duration // the longest; 0: three times the RTO
	second         second        // what becomes of the path that joins
}

type second int

const (
	unused second = iota // it carries nothing
	used                 // to the end
	lost                 // for a while; what still comes is sent again in vain
)

// Columns of the matrix.
const (
	clientToServer = iota
	serverToClient
	bothWays
)

var columns = []string{"client to server", "server to client", "both"}

const (
	clientCapable = "MPCapableSYNTX MPCapableSYNACKRX"
	serverCapable = "MPCapableSYNRX MPCapableACKRX"
	clientJoined  = clientCapable + " MPJoinSynTx MPJoinSynAckRx"
	serverJoined  = serverCapable + " MPJoinSynRx MPJoinAckRx"

	threeRTO   = 3 * 250 * time.Millisecond
	untilPlain = 7100 * time.Millisecond // SYNs at 0, 1, 3 and 7 s, the last without MP_CAPABLE
)

// amounts are counters of how much, not of what happened.
var amounts = []string{"MPTCPRetrans", "DuplicateData", "OFOQueueTail", "OFOQueue", "OFOMerge", "NoDSSInWindow",
	"SndWndShared", "RcvWndShared", "RcvWndConflict", "RcvWndConflictUpdate"}

// always is the same outcome in each column.
func always(o outcome) func(int) outcome { return func(int) outcome { return o } }

// idle is an outcome to which the middlebox does not contribute.
func idle(o outcome) outcome {
	o.idle = true
	return o
}

// columnsOf is an outcome for each column.
func columnsOf(up, down, both outcome) func(int) outcome {
	return func(dir int) outcome { return [3]outcome{up, down, both}[dir] }
}

// works is MPTCP as if there were no middlebox.
var works = always(outcome{client: clientCapable, server: serverCapable})

// bothWork is the same with a second path in use.
var bothWork = always(outcome{client: clientJoined, server: serverJoined, second: used})

// detected is a checksum that is wrong on the only subflow: MP_FAIL, and an infinite
// mapping from whoever sent the data. Of both directions the client's is first.
var detected = func(dir int) outcome {
	sender := " MPFailRx MPFailTx InfiniteMapTx"
	receiver := " DataCsumErr MPFailTx MPFailRx InfiniteMapRx DssFallback"
	if dir == serverToClient {
		sender, receiver = receiver, sender
	}
	return outcome{client: clientCapable + sender, server: serverCapable + receiver}
}

// closed is a wrong checksum on the subflow that joined: it is reset by the receiver.
var closed = func(dir int) outcome {
	sender, receiver := " MPFailRx MPRstRx", " DataCsumErr MPFailTx MPRstTx DssReset"
	if dir == serverToClient {
		sender, receiver = receiver, sender
	}
	return outcome{client: clientJoined + sender, server: serverJoined + receiver, second: lost}
}

func bits(words ...string) (k impairments.OptionKinds) {
	for _, w := range words {
		k |= 1 << slices.Index(impairments.OptionWords, w)
	}
	return k
}

func one(m impairments.Match, do impairments.Action) []impairments.Rule {
	return []impairments.Rule{{Match: m, Do: do}}
}

func editing(nth int, e impairments.Edit) []impairments.Rule {
	return []impairments.Rule{{Match: impairments.Match{Data: true, First: nth, Last: nth}, Do: impairments.RewriteData, Rewrite: e}}
}

// onlyPath are the rows with one subflow.
func onlyPath() []boxRow {
	withoutCapable := columnsOf(
		outcome{client: "MPCapableSYNTX MPCapableFallbackSYNACK"},
		outcome{client: "MPCapableSYNTX MPCapableFallbackSYNACK", server: "MPCapableSYNRX MPCapableFallbackACK"},
		outcome{client: "MPCapableSYNTX MPCapableFallbackSYNACK"})
	noThirdACK := outcome{client: clientCapable + " MPCapableDataFallback", server: "MPCapableSYNRX MPCapableFallbackACK"}
	// Who learns from the ACKs of its data that it is alone says so by an infinite mapping.
	clientFalls := outcome{client: clientCapable + " DssFallback InfiniteMapTx", server: serverCapable + " DssFallback"}
	serverFalls := outcome{client: clientCapable + " DssFallback", server: serverCapable + " DssFallback InfiniteMapTx"}
	midLife := columnsOf(clientFalls, serverFalls, serverFalls)
	bothFall := columnsOf(clientFalls, serverFalls, outcome{client: serverFalls.client, server: clientFalls.server})
	clientTells := outcome{client: clientFalls.client, server: serverCapable + " DssFallback InfiniteMapRx"}
	capable := impairments.Match{Options: bits("mp_capable"), Flags: wire.SYN}
	data := impairments.Match{Data: true}
	later := impairments.Match{Data: true, First: 20}
	dss := impairments.Match{Options: bits("dss"), Data: true, First: 20, Last: 21}
	return []boxRow{
		{name: "MP_CAPABLE stripped from SYNs", rules: one(capable, impairments.Strip), want: withoutCapable},
		{name: "MP_CAPABLE overwritten in SYNs", rules: one(capable, impairments.Nop), want: withoutCapable},
		{name: "MP_CAPABLE stripped from third ACK and data", rules: one(impairments.Match{Options: bits("mp_capable"), NoFlags: wire.SYN}, impairments.Strip),
			want: columnsOf(noThirdACK, idle(works(0)), noThirdACK)},
		{name: "MPTCP stripped after the SYNs", rules: one(impairments.Match{Options: bits("mptcp"), NoFlags: wire.SYN}, impairments.Strip),
			want: columnsOf(noThirdACK, outcome{client: clientCapable + " MPCapableDataFallback", server: serverFalls.server}, noThirdACK)},
		{name: "MPTCP overwritten after the SYNs", rules: one(impairments.Match{Options: bits("mptcp"), NoFlags: wire.SYN}, impairments.Nop),
			want: columnsOf(noThirdACK, outcome{client: clientCapable + " MPCapableDataFallback", server: serverFalls.server}, noThirdACK)},
		{name: "DSS stripped from some data", rules: one(dss, impairments.Strip), want: midLife},
		{name: "MPTCP stripped from some time on", rules: one(impairments.Match{Options: bits("mptcp"), First: 40}, impairments.Strip), want: midLife},
		{name: "SYNs with MPTCP dropped", rules: one(impairments.Match{Options: bits("mptcp"), Flags: wire.SYN}, impairments.Drop),
			want: columnsOf(
				outcome{client: "MPCapableSYNTX MPCapableSYNTXDrop Blackhole", silence: untilPlain},
				// The server has taken the first SYN, and answers the plain one that follows
				// with MP_CAPABLE, as Linux does.
				outcome{client: "MPCapableSYNTX MPCapableSYNTXDrop", server: "MPCapableSYNRX", fails: true},
				outcome{client: "MPCapableSYNTX MPCapableSYNTXDrop Blackhole", silence: untilPlain})},
		{name: "segments split, options on each piece", rules: []impairments.Rule{{Match: data, Do: impairments.Split, Size: 500}}, want: works},
		{name: "segments split, options on the first piece", rules: []impairments.Rule{{Match: data, Do: impairments.Split, Size: 500, Once: true}}, want: works},
		{name: "segments of one mapping coalesced", want: works, rules: []impairments.Rule{{Match: data, Do: impairments.Split, Size: 500},
			{Match: data, Do: impairments.Coalesce, Size: 1420, Wait: 2 * time.Millisecond, Once: true}}},
		{name: "mappings coalesced, the last stays", jumbo: true, rules: []impairments.Rule{{Match: later, Do: impairments.Coalesce, Size: 8000, Wait: 2 * time.Millisecond}}, want: bothFall},
		{name: "mappings coalesced, the first stays", jumbo: true, rules: []impairments.Rule{{Match: later, Do: impairments.Coalesce, Size: 8000, Wait: 2 * time.Millisecond, Once: true}}, want: bothFall},
		{name: "payload edited, with checksum", checksum: true, rules: editing(20, impairments.Edit{At: 50, Invert: 1}), want: detected},
		{name: "payload inserted, with checksum", checksum: true, rules: editing(20, impairments.Edit{At: 50, Insert: "abc"}), want: detected},
		{name: "payload removed, with checksum", checksum: true, rules: editing(20, impairments.Edit{At: 50, Remove: 3}), want: detected},
		{name: "payload edited, without checksum", rules: editing(20, impairments.Edit{At: 50, Invert: 1}), want: always(outcome{broken: true})},
		{name: "payload inserted, without checksum", rules: editing(20, impairments.Edit{At: 50, Insert: "abc"}), want: always(outcome{broken: true})},
		{name: "payload removed, without checksum", rules: editing(20, impairments.Edit{At: 50, Remove: 3}), want: always(outcome{broken: true, silence: 2 * time.Second})},
		{name: "ACKs ahead of the receiver's", rules: one(later, impairments.Acknowledge),
			want: columnsOf(clientTells, outcome{client: clientFalls.client, server: serverFalls.server}, clientTells)},
		{name: "initial sequence numbers rewritten", rules: []impairments.Rule{{Do: impairments.RewriteData, Rewrite: impairments.Edit{ISN: true}}}, want: works},
		{name: "initial sequence numbers rewritten, with checksum", checksum: true, rules: []impairments.Rule{{Do: impairments.RewriteData, Rewrite: impairments.Edit{ISN: true}}}, want: works},
		// There are none: a subflow acknowledges what it got itself.
		{name: "ACKs of unseen data dropped", rules: one(impairments.Match{Unseen: true}, impairments.Drop), impair: lossy(0.01), want: always(idle(works(0)))},
		{name: "data behind a hole dropped", rules: one(impairments.Match{Hole: true}, impairments.Drop), impair: lossy(0.01), want: works},
		{name: "packets duplicated", impair: &impairments.Config{Rate: 20e6, Delay: 10 * time.Millisecond, Duplicate: impairments.Chance{P: 0.05}}, want: works},
		{name: "packets reordered", impair: &impairments.Config{Rate: 20e6, Delay: 10 * time.Millisecond, Reorder: impairments.Chance{P: 0.05}}, want: works},
		{name: "delay of more than an RTO", impair: &impairments.Config{Rate: 20e6, Delay: 300 * time.Millisecond},
			want: always(outcome{client: clientCapable, server: serverCapable, silence: 3 * time.Second})},
	}
}

func lossy(p float64) *impairments.Config {
	return &impairments.Config{Rate: 20e6, Delay: 10 * time.Millisecond, Loss: impairments.Loss{Random: impairments.Chance{P: p}}}
}

// secondPath are the rows with a subflow that joins over the middlebox.
func secondPath() []boxRow {
	data := impairments.Match{Data: true}
	join := impairments.Match{Options: bits("mp_join"), Flags: wire.SYN}
	// Without MP_JOIN the SYN is one of a new connection at the server's port: its
	// SYN/ACK has no MP_JOIN, and the client resets it.
	noJoin := columnsOf(
		outcome{client: clientCapable + " MPJoinSynTx MPJoinSynAckNoMPJoin MPRstTx", server: serverCapable},
		outcome{client: clientCapable + " MPJoinSynTx MPJoinSynAckNoMPJoin MPRstTx", server: serverCapable + " MPJoinSynRx"},
		outcome{client: clientCapable + " MPJoinSynTx MPJoinSynAckNoMPJoin MPRstTx", server: serverCapable})
	noThird := outcome{client: clientJoined + " MPRstRx", server: serverCapable + " MPJoinSynRx MPJoinAckNoMPJoin", second: unused}
	silent := func(dir int) outcome { // who receives data without mapping resets the subflow
		sender, receiver := " MPRstRx", " MPRstTx DssReset"
		if dir == serverToClient {
			sender, receiver = receiver, sender
		}
		return outcome{client: clientJoined + sender, server: serverJoined + receiver, second: lost}
	}
	reset := outcome{client: clientJoined, server: serverJoined, second: lost}
	told := outcome{client: clientJoined + " MPRstRx", server: serverJoined + " MPRstRx", second: lost}
	return []boxRow{
		{name: "MP_JOIN stripped from SYNs", rules: one(join, impairments.Strip), want: noJoin},
		{name: "MP_JOIN overwritten in SYNs", rules: one(join, impairments.Nop), want: noJoin},
		{name: "MP_JOIN stripped from the third ACK", rules: one(impairments.Match{Options: bits("mp_join"), NoFlags: wire.SYN}, impairments.Strip),
			want: columnsOf(noThird, idle(bothWork(0)), noThird)},
		{name: "SYNs with MP_JOIN dropped", rules: one(join, impairments.Drop), want: columnsOf(
			outcome{client: clientCapable + " MPJoinSynTx", server: serverCapable},
			outcome{client: clientCapable + " MPJoinSynTx", server: serverCapable + " MPJoinSynRx"},
			outcome{client: clientCapable + " MPJoinSynTx", server: serverCapable})},
		// The fourth ACK stays; what the server sends then has no DSS.
		{name: "MPTCP stripped after the SYNs", rules: one(impairments.Match{Options: bits("mptcp"), NoFlags: wire.SYN}, impairments.Strip),
			want: columnsOf(noThird, outcome{client: clientJoined + " MPRstTx", server: serverJoined + " MPRstRx", second: lost},
				outcome{client: clientJoined, server: noThird.server})}, // the RST loses its MP_TCPRST, too
		{name: "DSS stripped from some data", rules: one(impairments.Match{Options: bits("dss"), Data: true, First: 20, Last: 21}, impairments.Strip), want: silent},
		{name: "segments split, options on each piece", rules: []impairments.Rule{{Match: data, Do: impairments.Split, Size: 500}}, want: bothWork},
		{name: "segments split, options on the first piece", rules: []impairments.Rule{{Match: data, Do: impairments.Split, Size: 500, Once: true}}, want: bothWork},
		{name: "payload edited, with checksum", checksum: true, rules: editing(20, impairments.Edit{At: 50, Invert: 1}), want: closed},
		{name: "payload inserted, with checksum", checksum: true, rules: editing(20, impairments.Edit{At: 50, Insert: "abc"}), want: closed},
		{name: "payload edited, without checksum", rules: editing(20, impairments.Edit{At: 50, Invert: 1}), want: always(outcome{broken: true, second: used})},
		{name: "initial sequence numbers rewritten", rules: []impairments.Rule{{Do: impairments.RewriteData, Rewrite: impairments.Edit{ISN: true}}}, want: bothWork},
		{name: "RST injected", rules: one(impairments.Match{Data: true, First: 20, Last: 20}, impairments.Reset), want: always(reset)},
		{name: "RST injected, with MP_TCPRST", want: always(told),
			rules: []impairments.Rule{{Match: impairments.Match{Data: true, First: 20, Last: 20}, Do: impairments.Reset, TCPRst: &wire.MPTCPRst{Reason: wire.RstProhibited}}}},
		// Whoever sends finds out by timeouts; what was under way goes over the other path.
		{name: "state removed after an idle time", pause: true, rules: one(impairments.Match{Idle: time.Second}, impairments.Drop),
			want: always(outcome{client: clientJoined, server: serverJoined, second: lost, silence: 2*time.Second + threeRTO})},
		{name: "state removed after an idle time, answered by RST", pause: true, rules: one(impairments.Match{Idle: time.Second}, impairments.Reset),
			want: always(outcome{client: clientJoined, server: serverJoined, second: lost, silence: 2*time.Second + threeRTO})},
		{name: "packets duplicated", impair: &impairments.Config{Rate: 20e6, Delay: 10 * time.Millisecond, Duplicate: impairments.Chance{P: 0.05}}, want: bothWork},
		{name: "packets reordered", impair: &impairments.Config{Rate: 20e6, Delay: 10 * time.Millisecond, Reorder: impairments.Chance{P: 0.05}}, want: bothWork},
	}
}

func TestMiddleboxMatrix(t *testing.T) {
	rows := onlyPath()
	for _, r := range secondPath() {
		r.paths, r.name = 2, "second path: "+r.name
		rows = append(rows, r)
	}
	for _, r := range rows {
		for dir, column := range columns {
			t.Run(r.name+"/"+column, func(t *testing.T) {
				x := newMatrixRun(t, &r, dir)
				x.run()
				x.judge(r.want(dir))
			})
		}
	}
}

// Where only one end sends, the other has no data with which to tell: every row again,
// for a stream that goes one way.
func TestMiddleboxMatrixOneWay(t *testing.T) {
	for _, r := range onlyPath() {
		for dir, column := range columns {
			if want := r.want(dir); want.broken || want.fails {
				continue
			}
			for sender, name := range []string{"from client", "from server"} {
				t.Run(r.name+"/"+column+"/"+name, func(t *testing.T) {
					x := newMatrixRun(t, &r, dir)
					x.ends[1-sender].Send.Bytes = 0
					x.run()
					from, to := x.ends[sender].Meter, x.ends[1-sender].Meter
					t.Logf("%d bytes, longest silence %v\nclient: %s\nserver: %s", to.Read, x.silence, x.counters(0), x.counters(1))
					if from.SHA256Sent() != to.SHA256Received() || to.Read != matrixBytes || from.Err != nil || to.Err != nil || !x.over() {
						t.Errorf("%d of %d bytes, errors %v and %v", to.Read, matrixBytes, from.Err, to.Err)
					}
					if limit := max(r.want(dir).silence, threeRTO); x.silence > limit {
						t.Errorf("nothing arrived for %v, longer than %v", x.silence, limit)
					}
				})
			}
		}
	}
}

// A matrixRun is one cell of the matrix.
type matrixRun struct {
	t        *testing.T
	row      *boxRow
	lab      *Lab
	nodes    [2]*workloads.Node // client, server
	ends     [2]*workloads.BulkEnd
	progress clock.Instant
	silence  time.Duration
	second   uint64        // payload bytes over the second path
	last     clock.Instant // of them
}

const matrixBytes = 1_000_000

func newMatrixRun(t *testing.T, r *boxRow, dir int) *matrixRun {
	x := &matrixRun{t: t, row: r}
	topo := routed()
	link := impairments.Config{Rate: 20e6, Delay: 10 * time.Millisecond}
	impair(topo, "wifi", link, link)
	impair(topo, "lte", link, link)
	at := topo.Link([]string{"wifi", "wifi", "lte"}[r.paths])
	for i := range topo.Links {
		if r.jumbo {
			topo.Links[i].MTU = 9000
		}
	}
	if r.impair != nil && dir != serverToClient {
		at.Impair[topology.Uplink] = *r.impair
	}
	if r.impair != nil && dir != clientToServer { // before the middlebox
		topo.Link("lan").Impair[topology.Downlink] = *r.impair
	}
	rules := slices.Clone(r.rules)
	for i := range rules {
		rules[i].Direction = []impairments.Way{impairments.Up, impairments.Down, impairments.Both}[dir]
	}
	topo.Middleboxes = []topology.Middlebox{{Name: "box", Rules: rules}}
	at.Through = []string{"box"}
	if r.nat {
		topo.Node("router").NAT = topology.NAT{Link: "lan", Timeout: time.Hour}
	}
	remote := netip.MustParseAddrPort("10.0.3.2:8080")
	lab, err := Build(topo, Options{Seed: 1, Check: true, Tap: x.see, Host: func(n *topology.Node) machine.Machine {
		e := env(topo, n, 1, mptcp.Config{ChecksumEnabled: r.checksum})
		if e.Host.Endpoints = nil; n.Name == "phone" && r.paths == 2 {
			e.Host.Endpoints = []pm.Endpoint{{Addr: netip.MustParseAddr("10.0.2.1"), Flags: pm.Subflow}}
		}
		for i := range e.Links {
			e.Links[i].MTU = 1500
		}
		end := workloads.BulkEnd{Send: workloads.Amount{Bytes: matrixBytes}, Data: workloads.NewStream(1, n.Name), Meter: workloads.NewMeter()}
		end.Meter.Progress = x.moved
		if r.pause {
			end.Pattern = workloads.Pattern{First: matrixBytes / 2, Pause: 2 * time.Second}
		}
		if n.Name == "phone" {
			c := &workloads.BulkClient{BulkEnd: end, Socket: workloads.Socket{Local: netip.MustParseAddrPort("10.0.1.1:0"), Remote: remote}}
			x.nodes[0], x.ends[0] = workloads.NewNode(mptcp.New(e), c), &c.BulkEnd
			return x.nodes[0]
		}
		s := &workloads.BulkServer{BulkEnd: end, Socket: workloads.Socket{Local: remote}}
		x.nodes[1], x.ends[1] = workloads.NewNode(mptcp.New(e), s), &s.BulkEnd
		return x.nodes[1]
	}})
	if err != nil {
		t.Fatal(err)
	}
	x.lab = lab
	return x
}

// A NAT hides the client's addresses: joins are known by their tokens, and what goes is
// told by its address ID.
//
// "Explicit address removal is undertaken by an Address ID to allow no knowledge of the
// source address." (https://www.rfc-editor.org/rfc/rfc8684#section-6).
func TestMiddleboxNAT(t *testing.T) {
	x := newMatrixRun(t, &boxRow{paths: 2, nat: true}, bothWays)
	x.lab.At(clock.Instant(200*time.Millisecond), func() {
		err := x.lab.Do("phone", func(now clock.Instant) {
			for _, e := range x.nodes[0].Stack.Endpoints() {
				if err := x.nodes[0].Stack.DeleteEndpoint(now, e.ID); err != nil {
					t.Error(err)
				}
			}
		})
		if err != nil {
			t.Error(err)
		}
	})
	x.run()
	x.judge(outcome{client: clientJoined + " RmAddrTx RmSubflow", server: serverJoined + " RmAddr", second: lost, idle: true})
}

// moved notes that an application got something.
func (x *matrixRun) moved(now clock.Instant, _ uint64) {
	x.silence = max(x.silence, now.Sub(x.progress))
	x.progress = now
}

// see counts payload that arrives over the second path.
func (x *matrixRun) see(at clock.Instant, iface string, out bool, pkt []byte) {
	var s wire.Segment
	if out || iface == "phone.wifi" || s.Parse(pkt, true) != nil {
		return
	}
	if len(s.Payload) > 0 && (iface == "phone.lte" || s.Src.Addr() == netip.MustParseAddr("10.0.2.1")) {
		x.second += uint64(len(s.Payload))
		x.last = at
	}
}

func (x *matrixRun) over() bool {
	return x.ends[0].Meter.Finished != clock.Never && (x.ends[1].Meter.Finished != clock.Never || x.ends[0].Meter.Err != nil)
}

func (x *matrixRun) run() {
	for until := clock.Instant(0); !x.over() && until < clock.Instant(3*time.Minute); {
		until += clock.Instant(10 * time.Millisecond)
		if err := x.lab.Run(until); err != nil {
			x.t.Fatal(err)
		}
	}
	if err := x.lab.Run(x.lab.Now() + clock.Instant(5*time.Second)); err != nil { // what closes
		x.t.Fatal(err)
	}
}

func (x *matrixRun) judge(want outcome) {
	t, c, s := x.t, x.ends[0].Meter, x.ends[1].Meter
	intact := c.SHA256Sent() == s.SHA256Received() && s.SHA256Sent() == c.SHA256Received() && c.Read == matrixBytes && s.Read == matrixBytes
	clientSays, serverSays := x.counters(0), x.counters(1)
	t.Logf("client %d bytes, server %d bytes, longest silence %v, second path %d bytes to %.3f s\nclient: %s\nserver: %s",
		c.Read, s.Read, x.silence, x.second, x.last.Seconds(), clientSays, serverSays)
	switch {
	case want.fails && (c.Err == nil || c.Read+s.Read > 0):
		t.Errorf("the client has %d bytes and says %v; it was to give up", c.Read, c.Err)
	case want.broken && (intact || !x.over()):
		t.Errorf("intact %v, over %v; the streams were to differ", intact, x.over())
	case !want.fails && !want.broken && (!intact || c.Err != nil || s.Err != nil):
		t.Errorf("intact %v, errors %v and %v", intact, c.Err, s.Err)
	}
	if hits := x.lab.Hits("box"); len(hits) > 0 && (slices.Max(hits) > 0) == want.idle {
		t.Errorf("the middlebox did something to %v packets", hits)
	}
	if limit := max(want.silence, threeRTO); x.silence > limit && !want.fails {
		t.Errorf("nothing arrived for %v, longer than %v", x.silence, limit)
	}
	if x.row.paths == 2 {
		end := max(c.Finished, s.Finished)
		got := used
		if x.second == 0 {
			got = unused
		} else if x.second < 300_000 || x.last < end-clock.Instant(100*time.Millisecond) {
			got = lost
		}
		if got != want.second {
			t.Errorf("the second path carried %d bytes to %.3f s of %.3f s: %d, want %d", x.second, x.last.Seconds(), end.Seconds(), got, want.second)
		}
	}
	if !want.broken {
		for _, h := range []struct{ name, got, want string }{{"client", clientSays, want.client}, {"server", serverSays, want.server}} {
			if normal(h.got) != normal(h.want) {
				t.Errorf("%s counts\n%s\nwant\n%s", h.name, normal(h.got), normal(h.want))
			}
		}
	}
}

// counters writes the counters of a host that are not 0.
func (x *matrixRun) counters(host int) string {
	var words []string
	x.nodes[host].Stack.Counters().Each(func(name string, v uint64) {
		name, ours := strings.CutPrefix(name, "MPTcpExt")
		if ours && v != 0 && !slices.Contains(amounts, name) {
			words = append(words, name+"="+strconv.FormatUint(v, 10))
		}
	})
	return strings.Join(words, " ")
}

// normal sorts counters and writes =1 where no number stands.
func normal(s string) string {
	words := strings.Fields(s)
	for i, w := range words {
		if !strings.Contains(w, "=") {
			words[i] = w + "=1"
		}
	}
	slices.Sort(words)
	return fmt.Sprint(words)
}

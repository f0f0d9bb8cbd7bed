package result

import (
	"bytes"
	"encoding/json"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"mptcplab/mptcp/clock"
	"mptcplab/mptcp/trace"
)

func TestSeriesRoundTrip(t *testing.T) {
	want := []Sample{
		{Run: `case=a, "b"/seed=1`, Flow: "get", Path: "wifi+s2", Host: "phone", Direction: "down", Metric: "sent", Unit: "bytes", Time: 0.30000000000000004, Value: 1 << 53},
		{Run: "x", Metric: "srtt", Unit: "ms", Time: 1e-9, Value: -0.1},
	}
	var b bytes.Buffer
	b.WriteString(seriesHeader)
	w := &SeriesWriter{w: &b}
	for _, s := range want {
		w.Sample(s)
	}
	var got []Sample
	if err := scanSeries(&b, func(s Sample) error { got = append(got, s); return nil }); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(got, want) {
		t.Errorf("%+v", got)
	}
	for _, bad := range []string{"", "a,b\n", seriesHeader + "a,b\n", seriesHeader + "r,f,p,h,d,m,u,zero,0\n"} {
		if scanSeries(strings.NewReader(bad), func(Sample) error { return nil }) == nil {
			t.Errorf("%q is no error", bad)
		}
	}
}

// Every kind of event is one valid line from which all that counts comes back.
func TestEventsRoundTrip(t *testing.T) {
	var b bytes.Buffer
	w := &EventWriter{w: &b}
	h := w.Tracer("phone")
	last := trace.LinkChanged
	for k := trace.ConnCreated; k <= last; k++ {
		if _, ok := fieldsOf[k]; !ok {
			t.Errorf("%v has no fields", k)
		}
		h.Trace(trace.Event{At: clock.Instant(k), Kind: k, Conn: 3, Path: 1, Token: 9,
			Local: netip.MustParseAddrPort("10.0.0.1:5"), Remote: netip.MustParseAddrPort("[fd00::1]:6"),
			A: 1<<64 - 1, B: 2, C: 3, D: 4, N: 5, Flag: true, Text: "a \"reason\"\n"})
	}
	k := trace.ConnCreated
	err := scanEvents(&b, func(e EventLine) error {
		f := fieldsOf[k]
		if e.At != clock.Instant(k) || e.Kind != k.String() || e.Host != "phone" || e.Conn != 3 || e.Path != 1 {
			t.Errorf("%v: %+v", k, e)
		}
		if f.a != "" && !strings.HasSuffix(f.a, "_ms") && e.Fields[f.a] != json.Number("18446744073709551615") {
			t.Errorf("%v: %s = %s", k, f.a, e.Fields[f.a])
		}
		if f.n != "" && e.Fields[f.n] != "5" || f.flag != "" && !e.Flags[f.flag] || f.text != "" && e.Texts[f.text] != "a \"reason\"\n" {
			t.Errorf("%v: %+v", k, e)
		}
		if f.addrs && (e.Texts["local"] != "10.0.0.1:5" || e.Texts["remote"] != "[fd00::1]:6") {
			t.Errorf("%v: %+v", k, e)
		}
		k++
		return nil
	})
	if err != nil || k != last+1 {
		t.Error(k, err)
	}
}

func TestDecimal(t *testing.T) {
	for v, want := range map[int64]string{0: "0.000000", 1: "0.000001", 330500000: "330.500000", -5: "-0.000005"} {
		if got := string(appendDecimal(nil, v, 6)); got != want {
			t.Errorf("%d: %s, want %s", v, got, want)
		}
	}
}

type packet struct {
	at    clock.Instant
	iface string
	out   bool
	ip    string
}

func TestCaptureRoundTrip(t *testing.T) {
	long := strings.Repeat("x", 300)
	want := []packet{
		{1, "phone.wifi", true, "abc"}, {1 << 40, "server.lan", false, "abcd"}, {1<<40 + 1, "new.one", true, ""},
		{1<<40 + 1, "phone.wifi", true, long},
	}
	var b bytes.Buffer
	c := NewCapture(&b, CaptureHeaders, []string{"server.lan", "phone.wifi"})
	for _, p := range want {
		c.Packet(p.at, p.iface, p.out, []byte(p.ip))
	}
	want[3].ip = long[:128]
	whole := b.Bytes()
	var got []packet
	read := func(b []byte) error {
		got = nil
		return ScanCapture(bytes.NewReader(b), func(at clock.Instant, iface string, out bool, ip []byte) {
			got = append(got, packet{at, iface, out, string(ip)})
		})
	}
	if err := read(whole); err != nil || !slices.Equal(got, want) {
		t.Errorf("%v %+v", err, got)
	}
	// A killed run leaves half a block.
	if err := read(whole[:len(whole)-9]); err != nil || !slices.Equal(got, want[:3]) {
		t.Errorf("%v %+v", err, got)
	}
	if read(nil) == nil || read([]byte("\xd4\xc3\xb2\xa1 old pcap")) == nil {
		t.Error("no error")
	}
}

func FuzzScanCapture(f *testing.F) {
	var b bytes.Buffer
	c := NewCapture(&b, CaptureAll, []string{"a.b"})
	c.Packet(5, "a.b", true, []byte("hello"))
	f.Add(b.Bytes())
	f.Fuzz(func(t *testing.T, data []byte) {
		// Errors are fine, panics and endless loops are not.
		n := 0
		_ = ScanCapture(bytes.NewReader(data), func(clock.Instant, string, bool, []byte) { n++ })
		if n > len(data) {
			t.Error(n)
		}
	})
}

func FuzzScanEvents(f *testing.F) {
	f.Add(string(appendTrace(nil, "h", &trace.Event{Kind: trace.Mapped, Conn: 1, A: 5})))
	f.Fuzz(func(t *testing.T, line string) {
		_ = scanEvents(strings.NewReader(line), func(EventLine) error { return nil })
	})
}

package netem

import (
	"bytes"
	"math"
	"reflect"
	"testing"
	"time"

	"mptcplab/impairments"
)

// What tc of iproute2 6.1 sent for commands in its own words: an encoder that is not
// ours. The bytes are the payload of TCA_OPTIONS on a little-endian machine.
var fromTc = []struct {
	command string
	bytes   string
	want    Options
}{
	{
		"netem limit 1000000 delay 30ms 5ms rate 100gbit loss 0.1%",
		"\x0e\x27\x07\x00\x40\x42\x0f\x00\x37\x89\x41\x00\x00\x00\x00\x00\x00\x00\x00\x00\x2d\x31\x01\x00\x0c\x00\x08\x00\x00\xdd\x0e\xe9\x02\x00\x00\x00\x14\x00\x06\x00\xff\xff\xff\xff\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00",
		&Netem{Limit: 1_000_000, Latency: 30 * time.Millisecond / tick * tick, Jitter: 5 * time.Millisecond / tick * tick,
			Loss: impairments.Chance{P: 0.001}, Rate: 100_000_000_000},
	},
	{
		"netem limit 1000 delay 5000ms loss gemodel 1% 10% 70% 0.1% duplicate 1% 25% corrupt 0.5% reorder 25% 50% gap 5",
		"\xc8\x17\xa8\x04\xe8\x03\x00\x00\x00\x00\x00\x00\x05\x00\x00\x00\x29\x5c\x8f\x02\x00\x00\x00\x00\x10\x00\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x40\x0c\x00\x03\x00\x00\x00\x00\x40\x00\x00\x00\x80\x0c\x00\x04\x00\x14\xae\x47\x01\x00\x00\x00\x00\x18\x00\x05\x80\x14\x00\x02\x00\x29\x5c\x8f\x02\x9a\x99\x99\x19\xcd\xcc\xcc\x4c\x37\x89\x41\x00",
		&Netem{Limit: 1000, Latency: 5 * time.Second / tick * tick, Gap: 5,
			GE:        &impairments.GilbertElliott{P: 0.01, R: 0.1, LossBad: 0.7, LossGood: 0.001},
			Duplicate: impairments.Chance{P: 0.01, Correlation: 0.25}, Corrupt: impairments.Chance{P: 0.005},
			Reorder: impairments.Chance{P: 0.25, Correlation: 0.5}},
	},
	{
		"netem limit 1000 loss random 1% 25% rate 10mbit ecn slot 1ms 2ms",
		"\x00\x00\x00\x00\xe8\x03\x00\x00\x29\x5c\x8f\x02\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x10\x00\x01\x00\x00\x00\x00\x00\x00\x00\x00\x40\x00\x00\x00\x00\x08\x00\x07\x00\x01\x00\x00\x00\x2c\x00\x0c\x00\x40\x42\x0f\x00\x00\x00\x00\x00\x80\x84\x1e\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x14\x00\x06\x00\xd0\x12\x13\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00",
		&Netem{Limit: 1000, Loss: impairments.Chance{P: 0.01, Correlation: 0.25}, Rate: 10_000_000, ECN: true,
			Slot: &Slot{MinDelay: time.Millisecond, MaxDelay: 2 * time.Millisecond}},
	},
	{
		"tbf rate 20mbit burst 5000 limit 250000", // without the table of rates
		"\x28\x00\x01\x00\x03\x01\x00\x00\xff\xff\x00\x00\xa0\x25\x26\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x90\xd0\x03\x00\x12\x7a\x00\x00\x00\x00\x00\x00\x08\x00\x06\x00\x88\x13\x00\x00",
		&TBF{Rate: 20_000_000, Burst: 5000, Limit: 250_000},
	},
	{"pfifo limit 20", "\x14\x00\x00\x00", &FIFO{Limit: 20}},
}

func TestDecodeWhatTcSends(t *testing.T) {
	for _, tt := range fromTc {
		got, err := decodeOptions(tt.want.Kind(), []byte(tt.bytes))
		if err != nil {
			t.Errorf("%s: %v", tt.command, err)
			continue
		}
		// Compared as the kernel rounds: 1 % is not exact in 32 bits.
		if d := tt.want.differ(got); len(d) > 0 {
			t.Errorf("%s: %v", tt.command, d)
		}
	}
}

// Of what tc sends in the fixed part and the attributes that both send, every byte
// must be the same in ours.
func TestEncodeAsTc(t *testing.T) {
	for _, tt := range fromTc {
		want, got := split(t, tt.want.Kind(), []byte(tt.bytes)), split(t, tt.want.Kind(), tt.want.encode()[4:])
		for kind, v := range want {
			if !bytes.Equal(got[kind], v) {
				t.Errorf("%s: attribute %d is % x, tc's % x", tt.command, kind, got[kind], v)
			}
		}
	}
}

// split returns the attributes by type, the fixed part as number -1.
func split(t *testing.T, kind string, b []byte) map[int][]byte {
	t.Helper()
	m := make(map[int][]byte)
	switch kind {
	case "tbf":
		// The cell size and alignment describe the table, which we do not send.
		b = bytes.Clone(b)
		b[4], b[8], b[9] = 0, 0, 0
	case "netem":
		m[-1], b = b[:netemHeader], b[netemHeader:]
	case "pfifo":
		m[-1], b = b, nil
	}
	if err := attributes(b, func(k int, v []byte) error { m[k] = v; return nil }); err != nil {
		t.Fatal(err)
	}
	return m
}

func TestEncodeGolden(t *testing.T) {
	n := &Netem{Limit: 1000, Latency: 15 * time.Millisecond, Jitter: time.Millisecond, Loss: impairments.Chance{P: 0.5, Correlation: 1},
		Reorder: impairments.Chance{P: 1}, Gap: 2, Rate: 8, Seed: 0x1122334455667788}
	want := "\x84\x00\x02\x00" + // TCA_OPTIONS
		"\x87\x93\x03\x00" + "\xe8\x03\x00\x00" + "\x00\x00\x00\x80" + "\x02\x00\x00\x00" + "\x00\x00\x00\x00" + "\x09\x3d\x00\x00" +
		"\x0c\x00\x0a\x00" + "\xc0\xe1\xe4\x00\x00\x00\x00\x00" + // LATENCY64
		"\x0c\x00\x0b\x00" + "\x40\x42\x0f\x00\x00\x00\x00\x00" + // JITTER64
		"\x10\x00\x01\x00" + "\x00\x00\x00\x00" + "\xff\xff\xff\xff" + "\x00\x00\x00\x00" + // CORR
		"\x0c\x00\x03\x00" + "\xff\xff\xff\xff" + "\x00\x00\x00\x00" + // REORDER
		"\x0c\x00\x04\x00" + "\x00\x00\x00\x00" + "\x00\x00\x00\x00" + // CORRUPT
		"\x14\x00\x06\x00" + "\x01\x00\x00\x00" + "\x00\x00\x00\x00" + "\x00\x00\x00\x00" + "\x00\x00\x00\x00" + // RATE
		"\x08\x00\x07\x00" + "\x00\x00\x00\x00" + // ECN
		"\x0c\x00\x0e\x00" + "\x88\x77\x66\x55\x44\x33\x22\x11" // PRNG_SEED
	if native.Uint16([]byte{1, 0}) != 1 {
		t.Skip("the golden bytes are little-endian")
	}
	if got := n.encode(); !bytes.Equal(got, []byte(want)) {
		t.Errorf("got  % x\nwant % x", got, want)
	}
}

// everything is one of each field.
func everything() []Options {
	return []Options{
		&Netem{Limit: 1},
		&Netem{Limit: math.MaxUint32, Latency: 300 * time.Second, Jitter: time.Second, DelayCorrelation: 0.25},
		&Netem{Latency: 1, Jitter: 1, Loss: impairments.Chance{P: 1, Correlation: 1}},
		&Netem{GE: &impairments.GilbertElliott{P: 0.01, R: 0.3, LossBad: 1, LossGood: 0}},
		&Netem{FourState: &impairments.FourState{P13: 0.1, P31: 0.2, P32: 0.3, P23: 0.4, P14: 0.5}},
		&Netem{Duplicate: impairments.Chance{P: 0.1, Correlation: 0.2}, Corrupt: impairments.Chance{P: 0.3, Correlation: 0.4},
			Reorder: impairments.Chance{P: 0.5, Correlation: 0.6}, Gap: 7},
		&Netem{Rate: 8}, &Netem{Rate: 34_359_738_352}, &Netem{Rate: 34_359_738_360}, &Netem{Rate: 400_000_000_000},
		&Netem{Rate: 8000, PacketOverhead: -14, CellSize: 48, CellOverhead: 5, ECN: true, Seed: math.MaxUint64},
		&Netem{Slot: &Slot{MinDelay: 1, MaxDelay: 2, MaxPackets: 3, MaxBytes: 4, DistDelay: 5, Distribution: 6}},
		&TBF{Rate: 8_000_000, Burst: 3028, Limit: 30_280}, &TBF{Rate: 40_000_000_000, Burst: 5_000_000, Limit: 1},
		&FIFO{Limit: 20}, &FIFO{Bytes: true, Limit: 20_000},
	}
}

func TestRoundTrip(t *testing.T) {
	for _, want := range everything() {
		got, err := decodeOptions(want.Kind(), want.encode()[4:])
		if err != nil {
			t.Errorf("%s %s: %v", want.Kind(), want.Tc(), err)
			continue
		}
		if d := want.differ(got); len(d) > 0 {
			t.Errorf("%s %s: %v", want.Kind(), want.Tc(), d)
		}
		// What was decoded is exact: it survives another turn unchanged.
		again, err := decodeOptions(got.Kind(), got.encode()[4:])
		if err != nil || !reflect.DeepEqual(again, got) {
			t.Errorf("%s %s: second turn %+v, first %+v (%v)", want.Kind(), want.Tc(), again, got, err)
		}
	}
}

func TestDecodeRefusesWhatIsCutShort(t *testing.T) {
	for _, tt := range []struct{ kind, bytes string }{
		{"netem", ""},
		{"netem", "\x00\x00\x00\x00\xe8\x03\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"},
		{"netem", string(make([]byte, netemHeader)) + "\x03\x00\x01\x00"},                                 // shorter than its own header
		{"netem", string(make([]byte, netemHeader)) + "\x10\x00\x01\x00\x00\x00\x00\x00"},                 // longer than the message
		{"netem", string(make([]byte, netemHeader)) + "\x08\x00\x0a\x00\x00\x00\x00\x00"},                 // half a latency
		{"netem", string(make([]byte, netemHeader)) + "\x0c\x00\x05\x80\x08\x00\x02\x00\x00\x00\x00\x00"}, // a quarter of a loss model
		{"netem", string(make([]byte, netemHeader)) + "\x10"},
		{"tbf", ""},
		{"tbf", "\x08\x00\x01\x00\x00\x00\x00\x00"},
		{"pfifo", "\x01"},
	} {
		if o, err := decodeOptions(tt.kind, []byte(tt.bytes)); err == nil {
			t.Errorf("%s % x: decoded to %+v", tt.kind, tt.bytes, o)
		}
	}
}

// FuzzDecode: no message of the kernel's panics, and what decodes survives encoding.
func FuzzDecode(f *testing.F) {
	kinds := []string{"netem", "tbf", "pfifo"}
	for i, kind := range kinds {
		for _, o := range everything() {
			if o.Kind() == kind {
				f.Add(uint8(i), o.encode()[4:])
			}
		}
	}
	f.Fuzz(func(t *testing.T, k uint8, b []byte) {
		kind := kinds[int(k)%len(kinds)]
		o, err := decodeOptions(kind, b)
		if err != nil {
			return
		}
		again, err := decodeOptions(kind, o.encode()[4:])
		if err != nil {
			t.Fatalf("%+v does not decode again: %v", o, err)
		}
		if d := o.differ(again); len(d) > 0 {
			t.Fatalf("%+v changed on the way: %v", o, d)
		}
	})
}

// FuzzMessage: no message panics the reader of whole qdiscs.
func FuzzMessage(f *testing.F) {
	msg := append(make([]byte, 20), "\x0a\x00\x01\x00netem\x00\x00\x00"...)
	f.Add(append(msg, (&Netem{Limit: 1}).encode()...))
	f.Fuzz(func(t *testing.T, b []byte) {
		q, _, _, err := decodeQdisc(b)
		if err == nil && q.Options.Kind() == "netem" && q.Options.(*Netem) == nil {
			t.Fatal("no error and no qdisc")
		}
	})
}

package vm

import (
	"bytes"
	"errors"
	"io"
	"testing"
)

func TestFramesRoundTrip(t *testing.T) {
	var b bytes.Buffer
	s := &sender{w: &b}
	long := bytes.Repeat([]byte("x"), maxFrame+10)
	for _, p := range [][]byte{[]byte("hello"), {}, long} {
		if err := s.send(frameStdout, p); err != nil {
			t.Fatal(err)
		}
	}
	if n, err := (stream{s, frameStderr}).Write([]byte("!")); n != 1 || err != nil {
		t.Fatal(n, err)
	}
	buf := make([]byte, maxFrame)
	for _, want := range []struct {
		kind byte
		n    int
	}{{frameStdout, 5}, {frameStdout, 0}, {frameStdout, maxFrame}, {frameStdout, 10}, {frameStderr, 1}} {
		kind, p, err := receive(&b, buf)
		if err != nil || kind != want.kind || len(p) != want.n {
			t.Fatalf("%q, %d bytes, %v; want %q, %d", kind, len(p), err, want.kind, want.n)
		}
	}
	if _, _, err := receive(&b, buf); !errors.Is(err, io.EOF) {
		t.Errorf("at the end: %v", err)
	}
}

func TestMalformedFrames(t *testing.T) {
	for _, in := range []string{"o", "o\x00\x00\x00\x02x", "o\x00\x01\x00\x01", "o\xff\xff\xff\xff"} {
		if _, _, err := receive(bytes.NewReader([]byte(in)), make([]byte, maxFrame)); !errors.Is(err, errFrame) {
			t.Errorf("%q: %v", in, err)
		}
	}
}

func FuzzReceive(f *testing.F) {
	f.Add([]byte("o\x00\x00\x00\x02xy"))
	f.Add([]byte("x\x00\x00\x00\x017"))
	f.Fuzz(func(t *testing.T, in []byte) {
		kind, p, err := receive(bytes.NewReader(in), make([]byte, maxFrame))
		if err != nil {
			return
		}
		var b bytes.Buffer
		if err := (&sender{w: &b}).send(kind, p); err != nil || !bytes.HasPrefix(in, b.Bytes()) {
			t.Fatalf("%q becomes %q", in, b.Bytes())
		}
	})
}

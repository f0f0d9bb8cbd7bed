package window

import (
	"bytes"
	"math/rand"
	"testing"
)

// model is a ring as a plain slice of the whole stream.
type model struct {
	b     []byte
	lo    uint64
	hi    uint64
	bound int
}

func (m *model) write(off uint64, p []byte) int {
	n := 0
	for i, c := range p {
		o := off + uint64(i)
		if o >= m.lo+uint64(m.bound) {
			break
		}
		for uint64(len(m.b)) <= o {
			m.b = append(m.b, 0)
		}
		m.b[o] = c
		m.hi = max(m.hi, o+1)
		n++
	}
	return n
}

// drive runs the operations that ops encodes on a ring and on its model.
func drive(t *testing.T, ops []byte) {
	const bound = 40000
	r := NewRing(0, bound)
	m := &model{bound: bound}
	written := Ranges{}
	seed := byte(1)
	for len(ops) >= 3 {
		op, x := ops[0]%6, uint64(ops[1])<<8|uint64(ops[2])
		ops = ops[3:]
		switch op {
		case 0, 1: // append; write anywhere
			p := make([]byte, x%9001)
			for i := range p {
				seed = seed*5 + 1
				p[i] = seed
			}
			off := r.End()
			if op == 1 {
				off = r.Start() + x%(bound+100)
			}
			got, want := r.Write(off, p), m.write(off, p)
			if got != want {
				t.Fatalf("Write(%d, %d bytes) = %d, want %d", off, len(p), got, want)
			}
			written.Add(off, off+uint64(got))
		case 2: // free
			to := r.Start() + x%9001
			r.Free(to)
			m.lo = max(m.lo, to)
			m.hi = max(m.hi, m.lo)
			written.Cut(to)
		case 3:
			r.Release()
		case 4:
			r.Free(r.End())
			m.lo = m.hi
			written.Clear()
		case 5:
			r.SetCap(bound - int(x%bound))
			m.bound = r.Cap()
		}
		if r.Start() != m.lo || r.End() != m.hi || r.Len() != int(m.hi-m.lo) || r.Room() != max(0, m.bound-r.Len()) {
			t.Fatalf("window [%d, %d), want [%d, %d)", r.Start(), r.End(), m.lo, m.hi)
		}
		for i := range written.Len() {
			check(t, &r, m, written.At(i))
		}
	}
}

// check compares what was written with what Peek and ReadAt return.
func check(t *testing.T, r *Ring, m *model, w Range) {
	t.Helper()
	want := m.b[w.Lo:w.Hi]
	got := make([]byte, len(want))
	if n := r.ReadAt(w.Lo, got); n != len(want) || !bytes.Equal(got, want) {
		t.Fatalf("ReadAt(%d) returns %d other bytes", w.Lo, n)
	}
	for off := w.Lo; off < w.Hi; {
		p := r.Peek(off)
		if len(p) == 0 {
			t.Fatalf("Peek(%d) returns nothing", off)
		}
		p = p[:min(uint64(len(p)), w.Hi-off)]
		if !bytes.Equal(p, m.b[off:off+uint64(len(p))]) {
			t.Fatalf("Peek(%d) returns other bytes", off)
		}
		off += uint64(len(p))
	}
}

func TestRingModel(t *testing.T) {
	rnd := rand.New(rand.NewSource(1))
	for range 100 {
		ops := make([]byte, 3*60)
		rnd.Read(ops)
		drive(t, ops)
	}
}

func FuzzRing(f *testing.F) {
	f.Add([]byte{0, 10, 0, 2, 5, 0, 0, 30, 0, 1, 90, 3, 4, 0, 0, 3, 0, 0, 0, 0, 9})
	f.Add(bytes.Repeat([]byte{0, 34, 200, 2, 30, 7}, 20))
	f.Fuzz(func(t *testing.T, ops []byte) { drive(t, ops[:min(len(ops), 300)]) })
}

func TestRingSendBuffer(t *testing.T) {
	r := NewRing(1<<40, 10)
	if n := r.Append([]byte("hello, world")); n != 10 {
		t.Errorf("Append took %d, want 10", n)
	}
	if n := r.Append([]byte("x")); n != 0 || r.Room() != 0 {
		t.Errorf("a full ring took %d", n)
	}
	b := make([]byte, 20)
	if n := r.ReadAt(1<<40+7, b); string(b[:n]) != "wor" {
		t.Errorf("ReadAt = %q", b[:n])
	}
	r.Free(1<<40 + 5)
	if n := r.Append([]byte("ld!!!")); n != 5 || string(r.Peek(r.Start())) != ", world!!!" {
		t.Errorf("Append took %d: %q", n, r.Peek(r.Start()))
	}
	r.Free(1 << 39)
	if r.Start() != 1<<40+5 {
		t.Error("Free went back")
	}
	for _, off := range []uint64{0, r.Start() - 1, r.End(), r.End() + 1} {
		if r.Peek(off) != nil || r.ReadAt(off, b) != 0 {
			t.Errorf("bytes at %d, outside the window", off)
		}
	}
}

// TestRingGrowth: by doubling, only as needed, given back when empty.
func TestRingGrowth(t *testing.T) {
	r := NewRing(0, 1<<20)
	if r.Size() != 0 {
		t.Error("allocated before use")
	}
	r.Append([]byte{1})
	if r.Size() != minSize {
		t.Errorf("size %d, want %d", r.Size(), minSize)
	}
	r.Append(make([]byte, minSize))
	if r.Size() != 2*minSize {
		t.Errorf("size %d, want %d", r.Size(), 2*minSize)
	}
	r.Release()
	if r.Size() == 0 {
		t.Error("a ring with bytes was released")
	}
	r.Free(r.End())
	r.Release()
	if r.Size() != 0 {
		t.Error("an empty ring kept its buffer")
	}
	if p := make([]byte, 1<<21); r.Append(p) != 1<<20 || r.Size() != 1<<20 {
		t.Errorf("size %d, want the bound", r.Size())
	}
}

func TestRingWriteBeforeWindow(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("no panic")
		}
	}()
	r := NewRing(10, 10)
	r.Write(9, []byte{1})
}

func TestNoAllocations(t *testing.T) {
	r := NewRing(0, 1<<16)
	var s Ranges
	p := make([]byte, 1448)
	r.Append(make([]byte, 1<<16))
	r.Free(r.End())
	for i := range uint64(10) {
		s.Add(2*i, 2*i+1)
	}
	s.Clear()
	if n := testing.AllocsPerRun(100, func() {
		at := r.End()
		r.Write(at+uint64(len(p)), p)
		r.Write(at, p)
		r.ReadAt(at, p)
		s.Add(at+1448, at+2896)
		s.Add(at, at+1448)
		r.Free(s.FirstGap(at))
		s.Cut(r.Start())
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

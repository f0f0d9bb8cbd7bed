package drill

import (
	"encoding/binary"
	"fmt"
)

// The kinds of TCP options.
const (
	kindEOL   = 0
	kindNOP   = 1
	kindMSS   = 2
	kindWS    = 3
	kindSOK   = 4
	kindSACK  = 5
	kindTS    = 8
	kindMD5   = 19
	kindMPTCP = 30
	kindFO    = 34
	kindExp   = 254
)

// builder writes an option in bytes. For an expected one actual is what the stack
// sent in its place: a wildcard takes its bytes, and mask is 0 there.
type builder struct {
	b, mask, actual []byte
}

func (w *builder) put(v ...byte) {
	w.b = append(w.b, v...)
	for range v {
		w.mask = append(w.mask, 0xFF)
	}
}

func (w *builder) u16(v uint16) { w.put(byte(v>>8), byte(v)) }
func (w *builder) u32(v uint32) { w.put(binary.BigEndian.AppendUint32(nil, v)...) }
func (w *builder) u64(v uint64) { w.put(binary.BigEndian.AppendUint64(nil, v)...) }

// any writes n bytes that are not compared.
func (w *builder) any(n int) {
	for range n {
		v := byte(0)
		if i := len(w.b); i < len(w.actual) {
			v = w.actual[i]
		}
		w.b, w.mask = append(w.b, v), append(w.mask, 0)
	}
}

// seen returns n bytes of what the stack sent at offset at; false: they are not
// there.
func (w *builder) seen(at, n int) ([]byte, bool) {
	if at+n > len(w.actual) {
		return nil, false
	}
	return w.actual[at : at+n], true
}

// split cuts the option area of a header into its options, one slice each.
func split(b []byte) [][]byte {
	var list [][]byte
	for len(b) > 0 {
		n := 1
		if b[0] != kindEOL && b[0] != kindNOP {
			if len(b) < 2 || b[1] < 2 || int(b[1]) > len(b) {
				return append(list, b)
			}
			n = int(b[1])
		}
		list = append(list, b[:n])
		b = b[n:]
	}
	return list
}

// encode writes one option of packet p on flow f. actual: see builder; nil for an
// injected packet.
func (r *run) encode(o *Option, p *Packet, f *flow, actual []byte) (*builder, error) {
	w := &builder{actual: actual}
	switch o.Kind {
	case OptNOP:
		w.put(kindNOP)
	case OptEOL:
		w.put(kindEOL)
	case OptMSS:
		w.put(kindMSS, 4)
		w.u16(uint16(o.Val))
	case OptWScale:
		w.put(kindWS, 3, byte(o.Val))
	case OptSACKOK:
		w.put(kindSOK, 2)
	case OptSACK:
		w.put(kindSACK, byte(2+8*len(o.Blocks)))
		base := uint32(f.locISN)
		if p.Out {
			base = uint32(f.remISN)
		}
		for _, k := range o.Blocks {
			w.u32(base + k[0])
			w.u32(base + k[1])
		}
	case OptTS:
		return w, r.encodeTS(w, o, p, f)
	case OptFO:
		w.put(kindFO, byte(2+len(o.Cookie)))
		w.put(o.Cookie...)
	case OptFOExp:
		w.put(kindExp, byte(4+len(o.Cookie)), 0xF9, 0x89)
		w.put(o.Cookie...)
	case OptMD5:
		w.put(kindMD5, byte(2+len(o.Cookie)))
		w.put(o.Cookie...)
	default:
		return w, r.encodeMPTCP(w, o, p, f)
	}
	return w, nil
}

// encodeTS replaces the values of the script by those of the stack.
func (r *run) encodeTS(w *builder, o *Option, p *Packet, f *flow) error {
	w.put(kindTS, 10)
	if p.Out {
		if v, ok := w.seen(2, 4); ok {
			f.stamps[o.Val] = binary.BigEndian.Uint32(v)
			if !f.hasStamp {
				f.hasStamp, f.firstStamp = true, o.Val
			}
		}
		w.any(8)
		return nil
	}
	ecr := o.Ecr
	if v, ok := f.stamps[o.Ecr]; ok {
		ecr = v
	} else if r.set.ecrScaled && f.hasStamp {
		ecr = f.stamps[f.firstStamp] + (o.Ecr - f.firstStamp)
	} else if p.Flags&ackFlag != 0 {
		return fmt.Errorf("unable to infer TS ecr %d: no expected packet had this TS val", o.Ecr)
	}
	w.u32(o.Val)
	w.u32(ecr)
	return nil
}

// encodeAll writes all options of an injected packet.
func (r *run) encodeAll(p *Packet, f *flow) ([]byte, error) {
	var b []byte
	for i := range p.Options {
		w, err := r.encode(&p.Options[i], p, f, nil)
		if err != nil {
			return nil, err
		}
		b = append(b, w.b...)
	}
	switch {
	case len(b) > 40:
		return nil, fmt.Errorf("the TCP options take %d bytes, more than 40", len(b))
	case len(b)%4 != 0:
		return nil, fmt.Errorf("the TCP options take %d bytes, which is not a multiple of 4", len(b))
	}
	return b, nil
}

package result

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"mptcplab/mptcp/clock"
)

// ErrCapture says that a file is no capture as Capture writes them.
var ErrCapture = errors.New("malformed " + CaptureFile)

// maxBlock bounds what a block is believed to hold.
const maxBlock = 1 << 20

// ReadCapture calls f for each packet of a run's packets.pcapng. The packet is
// borrowed for the call.
func ReadCapture(dir, run string, f func(at clock.Instant, iface string, out bool, ip []byte)) (err error) {
	d, err := RunDir(dir, run)
	if err != nil {
		return err
	}
	file, err := os.Open(filepath.Join(d, CaptureFile))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	return ScanCapture(file, f)
}

// ScanCapture calls f for each packet of a capture that Capture wrote. Blocks
// and options that Capture does not write are skipped. A capture that ends in
// the middle of a block, as that of a killed run does, gives what it has and no
// error.
func ScanCapture(r io.Reader, f func(at clock.Instant, iface string, out bool, ip []byte)) error {
	br := bufio.NewReaderSize(r, 1<<16)
	var ifaces []string
	var head [8]byte
	var buf []byte
	for first := true; ; first = false {
		if _, err := io.ReadFull(br, head[:]); err != nil {
			return ended(err, first)
		}
		kind, n := binary.LittleEndian.Uint32(head[:]), binary.LittleEndian.Uint32(head[4:])
		if first && kind != blockSection {
			return fmt.Errorf("%w: no section header", ErrCapture)
		}
		if n < 12 || n%4 != 0 || n > maxBlock {
			return fmt.Errorf("%w: a block of %d octets", ErrCapture, n)
		}
		if cap(buf) < int(n) {
			buf = make([]byte, n)
		}
		buf = buf[:n-8]
		if _, err := io.ReadFull(br, buf); err != nil {
			return ended(err, false)
		}
		if binary.LittleEndian.Uint32(buf[n-12:]) != n {
			return fmt.Errorf("%w: lengths before and after a block differ", ErrCapture)
		}
		body := buf[:n-12]
		switch kind {
		case blockSection:
			if len(body) < 16 || binary.LittleEndian.Uint32(body) != byteOrderMagic {
				return fmt.Errorf("%w: not little-endian", ErrCapture)
			}
		case blockInterface:
			name, err := readInterface(body)
			if err != nil {
				return err
			}
			ifaces = append(ifaces, name)
		case blockPacket:
			if err := readPacket(body, ifaces, f); err != nil {
				return err
			}
		}
	}
}

func ended(err error, first bool) error {
	if (errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)) && !first {
		return nil
	}
	return fmt.Errorf("%w: %w", ErrCapture, err)
}

func readInterface(b []byte) (name string, err error) {
	if len(b) < 8 {
		return "", fmt.Errorf("%w: interface", ErrCapture)
	}
	resol := byte(6)
	err = options(b[8:], func(code uint16, v []byte) {
		switch {
		case code == optIfName:
			name = string(v)
		case code == optIfTSResol && len(v) == 1:
			resol = v[0]
		}
	})
	if err == nil && (resol != 9 || b[0] != linkTypeRaw) {
		err = fmt.Errorf("%w: interface %q is not raw IP in nanoseconds", ErrCapture, name)
	}
	return name, err
}

func readPacket(b []byte, ifaces []string, f func(clock.Instant, string, bool, []byte)) error {
	if len(b) < 20 {
		return fmt.Errorf("%w: packet", ErrCapture)
	}
	id := binary.LittleEndian.Uint32(b)
	at := uint64(binary.LittleEndian.Uint32(b[4:]))<<32 | uint64(binary.LittleEndian.Uint32(b[8:]))
	n := int(binary.LittleEndian.Uint32(b[12:]))
	padded := (n + 3) &^ 3
	if int64(id) >= int64(len(ifaces)) || n < 0 || padded > len(b)-20 {
		return fmt.Errorf("%w: packet", ErrCapture)
	}
	out := false
	err := options(b[20+padded:], func(code uint16, v []byte) {
		if code == optFlags && len(v) == 4 {
			out = v[0]&3 == flagOutbound
		}
	})
	if err != nil {
		return err
	}
	f(clock.Instant(at), ifaces[id], out, b[20:20+n])
	return nil
}

// options calls f for each option of a block.
func options(b []byte, f func(code uint16, v []byte)) error {
	for len(b) >= 4 {
		code, n := binary.LittleEndian.Uint16(b), int(binary.LittleEndian.Uint16(b[2:]))
		if code == optEnd {
			return nil
		}
		padded := (n + 3) &^ 3
		if padded > len(b)-4 {
			return fmt.Errorf("%w: option", ErrCapture)
		}
		f(code, b[4:4+n])
		b = b[4+padded:]
	}
	return nil
}

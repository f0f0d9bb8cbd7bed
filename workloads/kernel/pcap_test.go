package kernel

import (
	"os"
	"sync"
	"testing"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"

	"mptcplab/mptcp/clock"
	"mptcplab/topology/netns"
)

// savePcap writes what passes an interface to a pcap file until the test ends.
func savePcap(t *testing.T, l *netns.Lab, iface, path string) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	w := pcapgo.NewWriter(f)
	if err := w.WriteFileHeader(200, layers.LinkTypeRaw); err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	c, err := l.Capture(iface, func(at clock.Instant, _ bool, p []byte) {
		mu.Lock()
		defer mu.Unlock()
		n := min(len(p), 200)
		_ = w.WritePacket(gopacket.CaptureInfo{Timestamp: time.Unix(0, int64(at)), CaptureLength: n, Length: len(p)}, p[:n])
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close(); f.Close() })
}

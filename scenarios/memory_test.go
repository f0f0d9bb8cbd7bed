package scenarios

import (
	"context"
	"fmt"
	"path/filepath"
	"runtime"
	"testing"
	"time"
)

// Memory does not grow with the length of a run: what lives on the heap late in a
// long transfer is what lived there early.
func TestMemoryIsBounded(t *testing.T) {
	const early, late, end = 20 * time.Second, 140 * time.Second, 142 * time.Second
	text := fmt.Sprintf(`
topology:
  hosts: {phone, server}
  links:
    wifi: {ends: [phone, server], rate: 2mbit, delay: 15ms, queue: 100ms, loss: 0.5%%}
    lte:  {ends: [phone, server], rate: 1mbit, delay: 30ms, jitter: 5ms}
workloads: {get: {type: bulk, client: phone.wifi, server: server.wifi, download: %ds, tcp: {rmem: 200KB, wmem: 200KB}}}
expect: [link.wifi.downlink.queue.p95 > 0B]
`, end/time.Second)
	f := loadText(t, text)
	heap := map[time.Duration]uint64{}
	res, err := Run(context.Background(), f, Options{Fabric: "virtual", Out: filepath.Join(t.TempDir(), "out"), Progress: func(s Status) {
		if s.At == early || s.At == late {
			var m runtime.MemStats
			runtime.GC()
			runtime.GC() // what finalizers held in the first
			runtime.ReadMemStats(&m)
			heap[s.At] = m.HeapAlloc
		}
	}})
	if err != nil || !res.Pass {
		t.Fatalf("%v, pass %v", err, res != nil && res.Pass)
	}
	grown := int64(heap[late]) - int64(heap[early])
	t.Logf("%d kB at %v, %+d kB at %v, %d MB received", heap[early]/1000, early, grown/1000, late, res.Runs[0].Flows[0].Bytes/1e6)
	// A tenth of what was received meanwhile would show a leak per packet or byte.
	if heap[early] == 0 || heap[late] == 0 || grown > 1<<20 {
		t.Errorf("the heap grew by %d bytes in %v", grown, late-early)
	}
}

package scenarios

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"testing"

	"mptcplab/scenarios/spec"
)

const fileDownload = `
topology:
  hosts: {a, b}
  links: {l: {ends: [a, b], rate: 50mbit, delay: 5ms}}
workloads:
  get: {type: bulk, client: a, server: b, download: {file: data/payload.bin}, upload: 10KB}
`

// A file's bytes are what is sent and received; the stored scenario has it beside
// itself and runs by itself, even into the folder that it lies in.
func TestFileDownload(t *testing.T) {
	dir := t.TempDir()
	payload := bytes.Repeat([]byte("these are the bytes of a file\n"), 20_000)
	path, out := filepath.Join(dir, "s.yaml"), filepath.Join(dir, "out")
	for name, data := range map[string][]byte{"s.yaml": []byte(fileDownload), "data/payload.bin": payload} {
		name = filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	sum := sha256.Sum256(payload)
	for range 2 {
		f, err := spec.Load(path, spec.Options{Fabric: "virtual"})
		if err != nil {
			t.Fatal(err)
		}
		flow := runFile(t, f, Options{Out: out}).Runs[0].Flows[0]
		if !flow.Intact || flow.DownloadBytes != uint64(len(payload)) || flow.SHA256Received != hex.EncodeToString(sum[:]) {
			t.Errorf("intact %v, %d bytes, %s", flow.Intact, flow.DownloadBytes, flow.SHA256Received)
		}
		path = filepath.Join(out, "scenario.yaml")
	}
}

const drawn = `
seed: 3
repeat: 2
topology:
  hosts: {a: {count: 4}, b: {}}
  switches: {sw}
  links:
    l: {ends: [a, sw]}
    m: {ends: [sw, b], rate: 50mbit, delay: 5ms}
workloads:
  get: {type: bulk, client: a, server: b, download: uniform(100KB..900KB)}
  ask: {type: request-response, client: a, server: b, request: uniform(100B..2KB), response: exp(30KB), count: 20}
`

// Sizes are drawn from the seed: each flow and each repetition has its own, both
// ends of a flow agree, and a second run has the same.
func TestDrawnSizes(t *testing.T) {
	first, second := runFile(t, loadText(t, drawn), Options{}), runFile(t, loadText(t, drawn), Options{})
	seen := map[uint64]bool{}
	for i, run := range first.Runs {
		for k, f := range run.Flows {
			if !f.Finished || !f.Intact {
				t.Errorf("%s %s: finished %v, intact %v", run.ID, f.Name, f.Finished, f.Intact)
			}
			if seen[f.Bytes] {
				t.Errorf("%s %s: %d bytes, as another flow", run.ID, f.Name, f.Bytes)
			}
			seen[f.Bytes] = true
			low, high := uint64(100e3), uint64(900e3)
			if f.Responses != nil { // 20 times 31 KB, on average
				low, high = 200e3, 1500e3
			}
			if f.Bytes < low || f.Bytes > high {
				t.Errorf("%s %s: %d bytes", run.ID, f.Name, f.Bytes)
			}
			if again := second.Runs[i].Flows[k].Bytes; again != f.Bytes {
				t.Errorf("%s %s: %d bytes, then %d", run.ID, f.Name, f.Bytes, again)
			}
		}
	}
}

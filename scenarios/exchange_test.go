package scenarios

import (
	"fmt"
	"strings"
	"testing"
)

// A client that connects again after an outage gets all its responses, the one
// under way counts from its first attempt, and the flow is over when the client
// says so: the connection that broke may stay half open at the server.
func TestReconnect(t *testing.T) {
	text := strings.Replace(fmt.Sprintf(twoPaths, "XX", `
  - {at: 3s, name: lost, link: wifi, blackhole: true}
  - {at: 15s, name: back, link: wifi, blackhole: false}
tcp: {retries2: 3}
expect: [flow.get.finished == true, flow.get.response.max > 11s, flow.get.response.median < 1s, run.duration < 60s]
`), "type: bulk, client: phone.wifi, server: server, XX",
		"type: request-response, client: phone.wifi, server: server, proto: tcp, request: 2KB, response: 200KB, count: 30, think: 300ms, reconnect: 1s, may_fail: true", 1)
	r := runText(t, text)
	for _, e := range r.Expect {
		if !e.Pass {
			t.Errorf("%s: measured %s", e.That, e.Measured)
		}
	}
	if f := r.Flows[0]; f.Responses.Count != 30 || f.Errors == 0 {
		t.Errorf("%d responses, %d errors", f.Responses.Count, f.Errors)
	}
}

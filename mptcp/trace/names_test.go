package trace

import "testing"

// Every kind has a name of its own: events.ndjson is read by name.
func TestEveryKindHasAName(t *testing.T) {
	seen := map[string]Kind{}
	for k := ConnCreated; k <= LinkChanged; k++ {
		name := k.String()
		if name == "unknown" || name == "" {
			t.Errorf("kind %d has no name", k)
		}
		if other, ok := seen[name]; ok {
			t.Errorf("kinds %d and %d are both called %s", other, k, name)
		}
		seen[name] = k
	}
	if (LinkChanged + 1).String() != "unknown" {
		t.Error("a kind behind the last has a name: the loop above does not see it")
	}
}

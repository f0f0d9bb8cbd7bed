package topology

import (
	"strconv"
	"strings"

	"mptcplab/topology/decode"
)

// Expand makes the members of groups in the topology block: of hosts and links
// with a count, and of links with an end that is a group of hosts. Each member
// has the group's name as its group. early, if not nil, says whether the count at
// a path is final; what is not is left for a later call.
func Expand(topo *decode.Node, early func(path string, count *decode.Node) bool, r *decode.Report) {
	if hosts := topo.Get("hosts"); hosts != nil && hosts.Kind == decode.Dict {
		expandHosts(hosts, early, r)
	}
	if links := topo.Get("links"); links != nil && links.Kind == decode.Dict {
		expandLinks(links, topo.Get("hosts"), early, r)
	}
}

// maxMembers bounds a group; a bridge of Linux takes 1,024 ports.
const maxMembers = 1000

// count returns the members that a block asks for; false: it asks for none, or
// that is not final.
func count(e decode.Entry, path string, early func(string, *decode.Node) bool, r *decode.Report) (int, bool) {
	n := e.Value.Get("count")
	path += e.Key + ".count"
	if n == nil || early != nil && !early(path, n) {
		return 0, false
	}
	return decode.IntType(1, maxMembers).Read(r, n, path)
}

func expandHosts(hosts *decode.Node, early func(string, *decode.Node) bool, r *decode.Report) {
	var out []decode.Entry
	for _, e := range hosts.Entries {
		n, ok := count(e, "topology.hosts.", early, r)
		if !ok {
			out = append(out, e)
			continue
		}
		for i := 1; i <= n; i++ {
			out = append(out, member(e, i))
		}
	}
	refuseTwice(out, "host", r)
	hosts.Entries = out
}

// member makes the i-th member of a group.
func member(group decode.Entry, i int) decode.Entry {
	m := group.Value.Clone()
	m.Delete("count")
	ReplaceIndex(m, i)
	m.Put("group", group.At, decode.Word(group.Key, group.At))
	return decode.Entry{Key: group.Key + strconv.Itoa(i), At: group.At, Value: m}
}

func refuseTwice(entries []decode.Entry, what string, r *decode.Report) {
	seen := map[string]bool{}
	for _, e := range entries {
		if seen[e.Key] {
			r.Errorf(e.At, "topology: %s %q is there twice; a group has members of that name", what, e.Key)
		}
		seen[e.Key] = true
	}
}

func expandLinks(links, hosts *decode.Node, early func(string, *decode.Node) bool, r *decode.Report) {
	var out []decode.Entry
	for _, e := range links.Entries {
		ends := e.Value.Get("ends")
		groups := groupEnds(ends, hosts)
		switch n, ok := count(e, "topology.links.", early, r); {
		case len(groups) > 0 && e.Value.Get("count") != nil:
			r.Errorf(e.Value.Get("count").At, "topology.links.%s: an end is a group, so there is a link for each member already; leave count out", e.Key)
			out = append(out, e)
		case len(groups) == 2 && len(groups[0]) != len(groups[1]):
			r.Errorf(ends.At, "topology.links.%s: its ends are groups of %d and %d; a link joins them member by member", e.Key, len(groups[0]), len(groups[1]))
		case len(groups) > 0:
			for i := range groups[0] {
				m := member(e, i+1)
				for k, end := range m.Value.Get("ends").Items {
					if members := Members(hosts, end.Text); members != nil {
						m.Value.Get("ends").Items[k] = decode.Word(members[i], end.At)
					}
				}
				out = append(out, m)
			}
		case ok:
			for i := 1; i <= n; i++ {
				out = append(out, member(e, i))
			}
		default:
			out = append(out, e)
		}
	}
	refuseTwice(out, "link", r)
	links.Entries = out
}

// groupEnds returns the members of those ends of a link that are groups.
func groupEnds(ends, hosts *decode.Node) (groups [][]string) {
	if ends == nil {
		return nil
	}
	for _, end := range ends.Items {
		if m := Members(hosts, end.Text); m != nil {
			groups = append(groups, m)
		}
	}
	return groups
}

// Members returns the names of the members of a group in the hosts or links
// block, in order; nil if there is no such group.
func Members(block *decode.Node, group string) (names []string) {
	if block == nil || group == "" || block.Get(group) != nil {
		return nil
	}
	for _, e := range block.Entries {
		if g := e.Value.Get("group"); g != nil && g.Text == group {
			names = append(names, e.Key)
		}
	}
	return names
}

// Groups returns the names of the groups in the hosts or links block, in order.
func Groups(block *decode.Node) (names []string) {
	if block == nil {
		return nil
	}
	seen := map[string]bool{}
	for _, e := range block.Entries {
		if g := e.Value.Get("group"); g != nil && !seen[g.Text] {
			seen[g.Text] = true
			names = append(names, g.Text)
		}
	}
	return names
}

// ReplaceIndex replaces $i in a value by the number of a member, from 1.
func ReplaceIndex(n *decode.Node, i int) {
	n.Text = replaceWord(n.Text, "i", strconv.Itoa(i))
	for _, c := range n.Items {
		ReplaceIndex(c, i)
	}
	for _, e := range n.Entries {
		ReplaceIndex(e.Value, i)
	}
}

// replaceWord replaces $name, but not the beginning of a longer name.
func replaceWord(s, name, by string) string {
	var b strings.Builder
	for {
		k := strings.Index(s, "$"+name)
		if k < 0 {
			return b.String() + s
		}
		end := k + 1 + len(name)
		b.WriteString(s[:k])
		if end < len(s) && isWord(s[end]) {
			b.WriteString(s[k:end])
		} else {
			b.WriteString(by)
		}
		s = s[end:]
	}
}

func isWord(c byte) bool {
	return c == '_' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
}

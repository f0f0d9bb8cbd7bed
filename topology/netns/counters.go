package netns

import (
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
)

// Counters returns the MIB counters of a node's namespace under nstat's names
// (MPTcpExtMPCapableSYNRX, TcpExtTCPTimeouts, TcpRetransSegs, Ip6InReceives). Some of
// them can be negative (TcpMaxConn).
func (l *Lab) Counters(node string) (map[string]int64, error) {
	n := l.nodes[node]
	if n == nil {
		return nil, fmt.Errorf("netns: no node %q", node)
	}
	counters := make(map[string]int64)
	err := n.thread.do(func() error {
		for _, file := range []string{"netstat", "snmp"} {
			if err := readFile(file, func(r io.Reader) error { return readPairs(r, counters) }); err != nil {
				return err
			}
		}
		err := readFile("snmp6", func(r io.Reader) error { return readLines(r, counters) })
		if os.IsNotExist(err) {
			return nil
		}
		return err
	})
	return counters, err
}

// readFile reads a file of the calling thread's /proc/net; /proc/net itself is the
// main thread's.
func readFile(name string, read func(io.Reader) error) error {
	f, err := os.Open("/proc/thread-self/net/" + name)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := read(f); err != nil {
		return fmt.Errorf("netns: %s: %w", f.Name(), err)
	}
	return nil
}

// readPairs reads the format of netstat and snmp: lines in pairs, the first with
// names, the second with values, both after the same prefix.
func readPairs(r io.Reader, into map[string]int64) error {
	text, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	lines := strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
	if len(lines)%2 != 0 {
		return fmt.Errorf("%d lines: not in pairs", len(lines))
	}
	for ; len(lines) > 0; lines = lines[2:] {
		prefix, names, ok := strings.Cut(lines[0], ":")
		prefix2, values, ok2 := strings.Cut(lines[1], ":")
		if !ok || !ok2 || prefix != prefix2 {
			return fmt.Errorf("no pair: %.40q and %.40q", lines[0], lines[1])
		}
		n, v := strings.Fields(names), strings.Fields(values)
		if len(n) != len(v) {
			return fmt.Errorf("%s: %d names, %d values", prefix, len(n), len(v))
		}
		for i := range n {
			if into[prefix+n[i]], err = strconv.ParseInt(v[i], 10, 64); err != nil {
				return err
			}
		}
	}
	return nil
}

// readLines reads the format of snmp6: a name and a value in each line.
func readLines(r io.Reader, into map[string]int64) error {
	text, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(text)) {
		f := strings.Fields(line)
		if len(f) != 2 {
			return fmt.Errorf("%q: not a name and a value", line)
		}
		if into[f[0]], err = strconv.ParseInt(f[1], 10, 64); err != nil {
			return err
		}
	}
	return nil
}

// Package result is the result directory: the types of result.json, the series,
// and how both are written and read. Plots, tables and reports are made from
// these files only.
package result

// SchemaVersion is the version of result.json.
const SchemaVersion = 1

// Result is result.json: the answer to one call of "mptcplab run".
type Result struct {
	SchemaVersion int          `json:"schema_version"`
	Name          string       `json:"name"`
	Description   string       `json:"description,omitempty"`
	Source        string       `json:"source,omitempty"`
	ScenarioHash  string       `json:"scenario_sha256"` // of scenario.yaml beside this file
	Seed          uint64       `json:"seed"`
	Fabric        string       `json:"fabric"` // virtual or netns
	Impair        string       `json:"impair"` // virtual, netem or relay
	Version       string       `json:"mptcplab_version"`
	Environment   *Environment `json:"environment,omitempty"` // namespaces only
	Runs          []Run        `json:"runs"`
	Skipped       []Skipped    `json:"skipped"`
	Interrupted   bool         `json:"interrupted,omitempty"`
	Pass          bool         `json:"pass"`
}

// Environment is what a real-time run ran on.
type Environment struct {
	Kernel        string  `json:"kernel"`
	CPUs          int     `json:"cpus"`
	StealPercent  float64 `json:"cpu_steal_percent"`
	SchedDelayP50 float64 `json:"sched_delay_p50_us"` // how late a sleeping thread woke
	SchedDelayP99 float64 `json:"sched_delay_p99_us"`
	SchedDelayMax float64 `json:"sched_delay_max_us"`
	// PacketOrder is "kept" if no load of the machine can reorder packets on links
	// without impairments, else why it can.
	PacketOrder string `json:"packet_order"`
}

// Skipped is a pairing that did not run.
type Skipped struct {
	Pairing string `json:"pairing"`
	Reason  string `json:"reason"`
}

// Run is one run.
type Run struct {
	ID                string                       `json:"id"`
	Pairing           string                       `json:"pairing,omitempty"`
	Point             map[string]string            `json:"point,omitempty"`
	Seed              uint64                       `json:"seed"`
	Stacks            map[string]string            `json:"stacks"`             // by host
	CongestionControl map[string]string            `json:"congestion_control"` // by host, as read back
	Settings          map[string]map[string]string `json:"settings,omitempty"` // by host: "tcp.rto_min", "mptcp.scheduler", as they were in force
	Duration          float64                      `json:"duration_s"`
	Degraded          []string                     `json:"degraded,omitempty"`
	Error             string                       `json:"error,omitempty"` // the run broke
	Flows             []Flow                       `json:"flows"`
	Handover          []Handover                   `json:"handover"`
	Events            []Event                      `json:"events"`
	Counters          map[string]map[string]uint64 `json:"counters"` // by host, MIB name
	Links             []Link                       `json:"links"`
	Middleboxes       []Middlebox                  `json:"middleboxes,omitempty"`
	Expect            []Expect                     `json:"expect"`
	Fingerprint       string                       `json:"fingerprint,omitempty"` // hash of all packets (virtual)
}

// Flow is one connection of a workload.
type Flow struct {
	Name           string     `json:"name"`
	Client         string     `json:"client"`
	Server         string     `json:"server"`
	Start          float64    `json:"start_s"`
	Setup          float64    `json:"setup_ms"`
	Finished       bool       `json:"finished"`
	Intact         bool       `json:"intact"`
	Bytes          uint64     `json:"bytes"` // application bytes received, both directions
	SHA256Sent     string     `json:"sha256_sent"`
	SHA256Received string     `json:"sha256_received"`
	UploadBytes    uint64     `json:"upload_bytes"`
	DownloadBytes  uint64     `json:"download_bytes"`
	Duration       float64    `json:"duration_s"`
	ClientDuration float64    `json:"client_duration_s"`
	ServerDuration float64    `json:"server_duration_s"`
	Goodput        float64    `json:"goodput_bps"`
	Throughput     float64    `json:"throughput_bps"` // payload on the wire, with retransmissions
	Fallback       bool       `json:"fallback"`
	FallbackReason string     `json:"fallback_reason,omitempty"`
	Error          string     `json:"error,omitempty"`
	Errors         int        `json:"errors"` // connections that broke
	Retransmitted  uint64     `json:"retransmitted_bytes"`
	Reinjected     uint64     `json:"reinjected_bytes"`
	Duplicate      uint64     `json:"duplicate_bytes"`
	Responses      *Responses `json:"response,omitempty"`
	Paths          []Path     `json:"paths"`
	Subflows       []Subflow  `json:"subflows"`
}

// Responses are the response times of a request-response flow.
type Responses struct {
	Count  int     `json:"count"`
	Min    float64 `json:"min_ms"`
	Median float64 `json:"median_ms"`
	P95    float64 `json:"p95_ms"`
	P99    float64 `json:"p99_ms"`
	Max    float64 `json:"max_ms"`
}

// Path sums the subflows that used one link of the client, counted on the wire
// where the receiver stands.
type Path struct {
	Name          string  `json:"name"`
	Bytes         uint64  `json:"bytes"` // payload bytes received, first copies and later ones
	Packets       uint64  `json:"packets"`
	Retransmitted uint64  `json:"retransmitted_bytes"`
	Reinjected    uint64  `json:"reinjected_bytes"`
	Share         float64 `json:"share"`   // of the flow's bytes, 0 to 1
	SRTT          float64 `json:"srtt_ms"` // median of the samples
}

// Subflow is one subflow (plain TCP: the connection).
type Subflow struct {
	ID            int     `json:"id"`
	Path          string  `json:"path"`
	Client        string  `json:"client_addr"`
	Server        string  `json:"server_addr"`
	BytesSent     uint64  `json:"bytes_sent"` // payload, both directions, with retransmissions
	Retransmitted uint64  `json:"retransmitted_bytes"`
	Reinjected    uint64  `json:"reinjected_bytes"`
	Backup        bool    `json:"backup,omitempty"`
	Established   float64 `json:"established_s"`
}

// Handover is what a named event did to the flows: the worst of them, and each.
type Handover struct {
	Event        string     `json:"event"`
	At           float64    `json:"at_s"`
	Happened     bool       `json:"happened"`
	Flow         string     `json:"flow,omitempty"`
	GapMS        float64    `json:"gap_ms"`
	GapStart     float64    `json:"gap_start_s"`
	GapEnd       float64    `json:"gap_end_s"`
	CaptureGapMS float64    `json:"capture_gap_ms"`    // the same from DATA_ACKs on the wire
	Cause        string     `json:"cause"`             // rto remove_addr mp_prio rst fin mp_fail link_up none
	Path         string     `json:"path,omitempty"`    // that took over
	RTOMS        *float64   `json:"rto_ms,omitempty"`  // of the path lost, at the sender at the event
	SRTTMS       *float64   `json:"srtt_ms,omitempty"` // of the path that took over
	Flows        []Handover `json:"flows,omitempty"`   // each flow's own
}

// Event is an event of the timeline with its intended and actual time.
type Event struct {
	Name     string  `json:"name,omitempty"`
	Text     string  `json:"text"`           // what it did, in a line
	When     string  `json:"when,omitempty"` // what it waited for
	At       float64 `json:"at_s"`           // when it was due; 0 if what it waited for never came
	Actual   float64 `json:"actual_s"`
	Happened bool    `json:"happened"`
}

// Link is what one direction of a link did.
type Link struct {
	Name      string `json:"name"`
	Direction string `json:"direction"`
	Bytes     uint64 `json:"bytes"`
	Packets   uint64 `json:"packets"`
	Dropped   uint64 `json:"dropped"`
	Marked    uint64 `json:"marked"` // with ECN's CE, by an AQM
}

// Middlebox is what a middlebox, or the packet filter of a host, did on all links.
type Middlebox struct {
	Name   string `json:"name"`
	Filter bool   `json:"filter,omitempty"` // of the host of that name
	Rules  []Rule `json:"rules"`
}

// Rule is one rule and how many packets it was applied to.
type Rule struct {
	Text string `json:"rule,omitempty"` // as the file has it; empty: an event brought it
	Hits uint64 `json:"hits"`
}

// Expect is one judged expectation.
type Expect struct {
	That     string `json:"that"`
	Measured string `json:"measured"` // left side as measured, with unit; or why there is no value
	Wanted   string `json:"wanted"`
	Pass     bool   `json:"pass"`
}

// Sample is one row of series.csv (long format).
type Sample struct {
	Run, Flow, Path, Host, Direction, Metric, Unit string
	Time                                           float64 // seconds
	Value                                          float64
}

package spec

import (
	"fmt"
	"math"
	"strings"

	"mptcplab/topology/decode"
)

type workloadDraft struct {
	Workload
	at                 Position
	clientAt, serverAt Position
	client, server     string // HOST or HOST.LINK; HOST may be a group
	family             int
	port, ports        int // the first, 0: to be chosen; and how many
	portAt, staggerAt  Position
	alone              bool // stagger without parallel: there must be a group
	block              hostBlock
}

var workloadTypes = decode.EnumType([]string{"bulk", "request-response"}, "cbr", "web", "video")

// workloadKeys declares section 6 of the schema.
func (d *document) workloadKeys(name string, m *decode.Map) {
	w := workloadDraft{at: m.At}
	w.Name, w.Parallel = name, 1
	decode.Get(m, "type", workloadTypes, &w.Type, "bulk or request-response")
	m.Require("type")
	decode.Get(m, "client", endType, &w.client, "who connects: HOST, or HOST.LINK for the source address; HOST may be a group")
	m.Require("client")
	decode.Get(m, "server", endType, &w.server, "who listens: HOST, or HOST.LINK for the destination address; HOST may be a group")
	m.Require("server")
	decode.Get(m, "port", decode.IntType(1, 65535), &w.port, "of the first connection, the others have those that follow; default: the first free from 5001, in the order of the file")
	decode.Get(m, "family", ipType, &w.family, "4 or 6; default 4 if there is an IPv4 address")
	decode.Get(m, "proto", decode.EnumType([]string{"mptcp", "tcp"}), &w.Proto, "of its sockets; default: what the host's stack is")
	decode.Get(m, "start", decode.TimeType, &w.Start, "default 0s")
	decode.Get(m, "parallel", decode.IntType(1, 1000), &w.Parallel, "connections at once: flow.NAME.1 ...; default 1")
	decode.Get(m, "may_fail", decode.BoolType, &w.MayFail, "nobody expects that it finishes intact")
	w.bulkKeys(d, m)
	w.requestKeys(m)
	decode.Get(m, "stagger", drawType, &w.Stagger, "between the starts of the members of a group, or of parallel connections without one; default 0s")
	w.block.keys(m, false)
	if m.Describing() {
		return
	}
	w.clientAt, w.serverAt = m.PositionOf("client"), m.PositionOf("server")
	w.portAt, w.staggerAt = m.PositionOf("port"), m.PositionOf("stagger")
	w.alone = m.Has("stagger") && !m.Has("parallel")
	w.checkType(m)
	d.workloads = append(d.workloads, w)
}

func (w *workloadDraft) bulkKeys(d *document, m *decode.Map) {
	d.amountKey(m, "download", "server to client: a size or a time, uniform(8MiB..24MiB) or {file: PATH}", &w.Download)
	d.amountKey(m, "upload", "client to server: as download; both at once if download is given, too", &w.Upload)
	decode.Get(m, "bitrate", decode.RateType, &w.Bitrate, "the application's own pace; default: as fast as it goes")
	m.Object("write", "mptcp_connect's -j and -r", func(m *decode.Map) {
		first, most := uint64(0), uint64(0)
		decode.Get(m, "first", bytesType, &first, "size of the first write")
		decode.Get(m, "max", bytesType, &most, "largest write")
		decode.Get(m, "pause", decode.TimeType, &w.Write.Pause, "between writes")
		w.Write.First, w.Write.Max = int(first), int(most)
	})
}

func (w *workloadDraft) requestKeys(m *decode.Map) {
	decode.Get(m, "request", sizeDrawType, &w.Request, "size of a request, or exp(1KB) or uniform(1KB..9KB)")
	decode.Get(m, "response", sizeDrawType, &w.Response, "size of a response, or exp(1KB) or uniform(1KB..9KB)")
	w.Count = 1
	decode.Get(m, "count", decode.IntType(1, math.MaxInt32), &w.Count, "requests; default 1")
	decode.Get(m, "think", drawType, &w.Think, "pause before the next request: a time, exp(1s) or uniform(1s..2s)")
	decode.Get(m, "reconnect", decode.TimeType, &w.Reconnect, "connect again after that long if the connection broke; default never")
}

// bytesType is a size that fits the buffers of an application.
var bytesType = decode.Type[uint64]{What: decode.SizeType.What, Schema: decode.SizeType.Schema, Parse: func(s string) (uint64, error) {
	v, err := decode.ParseSize(s)
	if err == nil && v > math.MaxInt32 {
		return 0, fmt.Errorf("%q is more than 2GiB", s)
	}
	return v, err
}}

func (w *workloadDraft) checkType(m *decode.Map) {
	foreign := map[string][]string{
		"bulk":             {"request", "response", "count", "think", "reconnect"},
		"request-response": {"download", "upload", "bitrate", "write"},
	}[w.Type]
	for _, key := range foreign {
		if m.Has(key) {
			m.Report().Errorf(m.PositionOf(key), "%s.%s: a %s workload has no %s", m.Path, key, w.Type, key)
		}
	}
	switch w.Type {
	case "bulk":
		if !m.Has("download") && !m.Has("upload") {
			m.Errorf("a bulk workload needs download or upload")
		}
	case "request-response":
		m.Require("request")
		m.Require("response")
		if m.Has("request") && w.Request == (SizeDraw{}) {
			m.Report().Errorf(m.PositionOf("request"), "%s.request: a request has at least one byte", m.Path)
		}
		if w.Reconnect > 0 && (w.Request.Kind != "" || w.Response.Kind != "") {
			m.Report().Errorf(m.PositionOf("reconnect"), "%s.reconnect: with sizes drawn from the seed the server would not know which request is repeated; give fixed sizes", m.Path)
		}
	}
}

var endType = decode.Type[string]{What: "HOST or HOST.LINK", Schema: decode.Pattern(`^[a-z$][A-Za-z0-9_$-]*(\.[a-z$][A-Za-z0-9_$-]*)?$`), Parse: func(s string) (string, error) {
	host, link, dot := strings.Cut(s, ".")
	if _, err := decode.ParseName(host); err != nil {
		return "", err
	}
	if dot {
		if _, err := decode.ParseName(link); err != nil {
			return "", err
		}
	}
	return s, nil
}}

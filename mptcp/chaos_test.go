package mptcp

import (
	"fmt"
	"testing"
	"time"

	"mptcplab/mptcp/pm"
)

// TestChaos transfers while links go silent and come back, endpoints come and go,
// priorities change and readers pause: everything arrives, in order, in the end. From
// seed 16 on the schedulers change, too.
func TestChaos(t *testing.T) {
	for seed := range byte(64) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			cfg := Config{ChecksumEnabled: seed%4 == 1}
			if seed >= 16 {
				cfg.Scheduler = schedulers[int(seed)%len(schedulers)]
				cfg.TCP.CongestionControl = []string{"bbr", "lia", "olia", "balia", "wvegas", "ewtcp", "coupled"}[seed%7]
			}
			if seed%3 == 1 {
				cfg.RecvBuffer, cfg.SendBuffer = 50_000, 80_000
			}
			client := twoPaths(cfg)
			client.Limits.Subflows = 4
			server := acceptor(cfg)
			server.Limits.Subflows = 4
			if seed%2 == 1 {
				server.Endpoints = []pm.Endpoint{{Addr: addr("10.0.3.2"), Flags: pm.Signal}}
			}
			if seed%5 == 2 {
				client.PathManager = "fullmesh"
			}
			w := newWorld(t, 3, client, server, seed)
			for i := range 3 {
				w.link(i, func(p *pipe) {
					p.rate, p.queue = 100_000+int(w.random()%400_000), 20_000+int(w.random()%100_000)
					p.delay = time.Duration(w.random()%60) * time.Millisecond
					p.loss = w.random() % (1 << 32 / 100)
				})
			}
			p := w.connect(int(w.random()%400_000), int(w.random()%1_000_000), "10.0.1.1:0", "10.0.1.2:80")
			for range 40 {
				w.run(time.Duration(100+w.random()%400)*time.Millisecond, p.done)
				w.disturb(p)
				if seed >= 16 && p.server != nil && w.random()%4 == 0 {
					for _, a := range []*app{p.client, p.server} {
						if err := a.c.SetScheduler(schedulers[int(w.random())%len(schedulers)]); err != nil {
							t.Fatal(err)
						}
					}
				}
			}
			for i := range 3 {
				w.link(i, func(p *pipe) { p.dead = false })
			}
			p.client.paused, p.paused = false, false
			p.finish(20 * time.Minute)
			w.forgets()
		})
	}
}

// disturb does one thing at random. Link 1 is never silent for long.
func (w *world) disturb(p *pair) {
	h := w.hosts[0]
	switch w.random() % 8 {
	case 0:
		w.link(1, func(p *pipe) { p.dead = !p.dead })
	case 1:
		w.link(2, func(p *pipe) { p.dead = !p.dead })
	case 2:
		w.link(0, func(p *pipe) { p.dead = true })
		w.run(700*time.Millisecond, p.done)
		w.link(0, func(p *pipe) { p.dead = false })
	case 3:
		for _, e := range h.Endpoints() {
			if e.Addr != addr("10.0.1.1") && e.Flags&pm.Implicit == 0 {
				h.DeleteEndpoint(w.now, e.ID)
				break
			}
		}
	case 4:
		// That it may be there already does not matter.
		_, _ = h.AddEndpoint(w.now, pm.Endpoint{Addr: addr([]string{"10.0.2.1", "10.0.3.1"}[w.random()%2]), Flags: pm.Subflow})
	case 5:
		for _, e := range h.Endpoints() {
			h.ChangeEndpoint(w.now, e.ID, e.Flags^pm.Backup)
		}
	case 6:
		p.client.paused = !p.client.paused
	case 7:
		p.paused = !p.paused
	}
	w.mutated()
}

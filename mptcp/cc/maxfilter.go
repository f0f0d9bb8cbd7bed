package cc

// maxFilter keeps the largest of the samples of a window, with the best of its
// later parts as successors (Kathleen Nichols; lib/win_minmax.c).
type maxFilter struct {
	s [3]struct {
		t uint32
		v uint64
	}
}

func (m *maxFilter) best() uint64 { return m.s[0].v }

func (m *maxFilter) update(window, t uint32, v uint64) {
	x := m.s[0]
	x.t, x.v = t, v
	if v >= m.s[0].v || t-m.s[2].t > window {
		m.s[0], m.s[1], m.s[2] = x, x, x
		return
	}
	if v >= m.s[1].v {
		m.s[1], m.s[2] = x, x
	} else if v >= m.s[2].v {
		m.s[2] = x
	}
	switch dt := t - m.s[0].t; {
	case dt > window:
		// The best is too old: the next in line follows.
		m.s[0], m.s[1], m.s[2] = m.s[1], m.s[2], x
		if t-m.s[0].t > window {
			m.s[0], m.s[1], m.s[2] = m.s[1], m.s[2], x
		}
	case m.s[1].t == m.s[0].t && dt > window/4:
		m.s[1], m.s[2] = x, x
	case m.s[2].t == m.s[1].t && dt > window/2:
		m.s[2] = x
	}
}

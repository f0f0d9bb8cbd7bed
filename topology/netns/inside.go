package netns

// Inside runs f on a thread in a new, empty network namespace, which is gone when
// it returns: for probes of what the kernel offers.
func Inside(f func() error) error {
	t, err := newThread()
	if err != nil {
		return err
	}
	defer t.close()
	return t.do(f)
}

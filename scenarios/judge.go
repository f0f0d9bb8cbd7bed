package scenarios

func (r *runner) judge() {}

package spec

// resolve writes the effective file out.
func (f *File) resolve() ([]byte, error) {
	return f.tree.Encode(), nil
}

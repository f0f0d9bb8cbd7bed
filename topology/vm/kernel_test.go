package vm

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestNewest(t *testing.T) {
	names := []string{
		"linux-image-6.1.0-9-cloud-amd64",
		"linux-image-6.1.0-53-cloud-amd64-unsigned",
		"linux-image-6.1.0-53-cloud-amd64",
		"linux-image-6.1.0-56-cloud-amd64-dbg",
		"linux-image-6.1.0-54-cloud-amd64-unsigned",
		"linux-image-6.12.99+deb12-cloud-amd64",
		"linux-image-6.12.107+deb12-cloud-amd64",
		"linux-image-6.12-cloud-amd64", // a meta package
		"linux-image-cloud-amd64",
		"linux-image-6.12.115+deb12-amd64",
		"fetch-123",
	}
	for series, want := range map[string][]string{
		"6.1": {"linux-image-6.1.0-54-cloud-amd64-unsigned", "linux-image-6.1.0-53-cloud-amd64",
			"linux-image-6.1.0-53-cloud-amd64-unsigned", "linux-image-6.1.0-9-cloud-amd64"},
		"6.12": {"linux-image-6.12.107+deb12-cloud-amd64", "linux-image-6.12.99+deb12-cloud-amd64"},
		"5.10": nil,
	} {
		if got := newest(names, series); !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", series, got, want)
		}
	}
}

func TestFindKernelInTheCache(t *testing.T) {
	cache := t.TempDir()
	t.Setenv("XDG_CACHE_HOME", cache)
	dir := filepath.Join(cache, "mptcplab", "kernel", "linux-image-6.12.5-cloud-amd64")
	for _, d := range []string{"boot", "lib/modules/6.12.5-cloud-amd64"} {
		if err := os.MkdirAll(filepath.Join(dir, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	image := filepath.Join(dir, "boot", "vmlinuz-6.12.5-cloud-amd64")
	if err := os.WriteFile(image, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	k, err := findKernel(t.Context(), "6.12")
	if err != nil || k.image != image || !strings.HasSuffix(k.modules, "6.12.5-cloud-amd64") {
		t.Errorf("%+v, %v", k, err)
	}
	for _, bad := range []string{"", "6", "6.12.1", "6.12; rm", "../6.1"} {
		if _, err := findKernel(t.Context(), bad); err == nil {
			t.Errorf("series %q is accepted", bad)
		}
	}
	// Without apt there is a clear answer.
	t.Setenv("PATH", t.TempDir())
	if _, err := findKernel(t.Context(), "6.1"); !errors.Is(err, ErrMissing) {
		t.Errorf("without apt: %v", err)
	}
}

func TestMissingQEMU(t *testing.T) {
	program := staticFile(t)
	t.Setenv("PATH", t.TempDir())
	_, err := Run(t.Context(), Options{Program: program, Init: program, Dir: t.TempDir()})
	if !errors.Is(err, ErrMissing) || !strings.Contains(err.Error(), "apt-get install qemu-system-x86") {
		t.Errorf("Run: %v", err)
	}
}

// staticFile makes the smallest file that passes for a static program.
func staticFile(t *testing.T) string {
	t.Helper()
	head := make([]byte, 64)
	copy(head, "\x7fELF\x02\x01\x01")
	head[16], head[18], head[20], head[52] = 2, 62, 1, 64 // executable, x86-64, version, header size
	name := filepath.Join(t.TempDir(), "program")
	if err := os.WriteFile(name, head, 0o755); err != nil {
		t.Fatal(err)
	}
	return name
}

func TestDynamicProgramsAreRefused(t *testing.T) {
	if err := checkStatic(staticFile(t)); err != nil {
		t.Error(err)
	}
	if err := checkStatic("/bin/sh"); !errors.Is(err, ErrMissing) || !strings.Contains(err.Error(), "CGO_ENABLED=0") {
		t.Errorf("/bin/sh: %v", err)
	}
}

func TestNamed(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"a.yaml", "b.yaml"} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(dir, "sub"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		args  string
		files string
		out   string
	}{
		{"run a.yaml --seed 7", "a.yaml", ""},
		{"run a.yaml --out res --set x=b.yaml", "a.yaml", "res"},
		{"run --config=b.yaml a.yaml --out=res2", "b.yaml a.yaml", "res2"},
		{"run --out a.yaml", "", "a.yaml"},
		{"plot sub nosuch", "", ""},
		{"run " + dir + "/a.yaml", dir + "/a.yaml", ""},
	} {
		files, out := Named(dir, strings.Fields(tt.args))
		if strings.Join(files, " ") != tt.files || out != tt.out {
			t.Errorf("%s: files %v, out %q", tt.args, files, out)
		}
	}
}

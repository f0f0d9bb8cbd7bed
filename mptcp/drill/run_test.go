package drill

import (
	"fmt"
	"os"
	"testing"
)

func TestProbe(t *testing.T) {
	files := visible(t)
	pass := 0
	for _, f := range files {
		ok := true
		for _, m := range Modes(f) {
			if err := RunFile(f, m, nil); err != nil {
				ok = false
				fmt.Fprintf(os.Stdout, "FAIL %s: %v\n", m, err)
				break
			}
		}
		if ok {
			pass++
			fmt.Println("PASS", f)
		}
	}
	fmt.Println(pass, "of", len(files))
}

package netem

import (
	"bufio"
	"fmt"
	"math"
	"os"
	"strings"
	"testing"

	"mptcplab/impairments"
)

// Entries of the tables that iproute2 6.1 installs.
func TestDistributionSamples(t *testing.T) {
	for _, tt := range []struct {
		d    impairments.Distribution
		want map[int]int16
	}{
		{impairments.Normal, map[int]int16{0: -32768, 1: -28307, 2: -26871, 8: -23600, 31: -19887}},
		{impairments.Uniform, map[int]int16{0: -8190, 2047: -2, 2048: 2, 4095: 8190}},
	} {
		got := distribution(tt.d)
		for i, want := range tt.want {
			if diff := int(got[i]) - int(want); diff < -1 || diff > 1 {
				t.Errorf("%s[%d] = %d, want %d", distributionNames[tt.d], i, got[i], want)
			}
		}
	}
}

// Where iproute2 is installed, all of its tables are compared.
func TestDistributionsAreIproutes(t *testing.T) {
	compared := 0
	for d := impairments.Normal; d <= impairments.ParetoNormal; d++ {
		for _, dir := range []string{"/usr/lib/x86_64-linux-gnu/tc/", "/usr/lib/tc/", "/usr/share/tc/"} {
			want, err := readTable(dir + distributionNames[d] + ".dist")
			if err != nil {
				continue
			}
			compared++
			got := distribution(d)
			if len(want) != len(got) {
				t.Errorf("%s: %d entries, iproute2 has %d", distributionNames[d], len(got), len(want))
				continue
			}
			for i := range got {
				// Its generator steps through the axis by 0.00005, ours inverts.
				if diff := int(got[i]) - int(want[i]); diff < -1 || diff > 1 {
					t.Errorf("%s[%d] = %d, iproute2 has %d", distributionNames[d], i, got[i], want[i])
				}
			}
		}
	}
	if compared == 0 {
		t.Skip("no tables of iproute2 to compare with")
	}
}

func readTable(name string) ([]int16, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var table []int16
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if strings.HasPrefix(lines.Text(), "#") {
			continue
		}
		for word := range strings.FieldsSeq(lines.Text()) {
			var v int16
			if _, err := fmt.Sscan(word, &v); err != nil {
				return nil, err
			}
			table = append(table, v)
		}
	}
	return table, nil
}

// A table has the moments of its distribution: mean 0 and deviation 1, save Pareto,
// whose tail is cut.
func TestDistributionMoments(t *testing.T) {
	for _, tt := range []struct {
		d               impairments.Distribution
		mean, deviation float64
	}{{impairments.Uniform, 0, 1 / math.Sqrt(3)}, {impairments.Normal, 0, 1}} {
		var sum, squares float64
		for _, v := range distribution(tt.d) {
			x := float64(v) / tableScale
			sum += x
			squares += x * x
		}
		mean := sum / tableSize
		deviation := math.Sqrt(squares/tableSize - mean*mean)
		if math.Abs(mean-tt.mean) > 0.002 || math.Abs(deviation-tt.deviation) > 0.01 {
			t.Errorf("%s: mean %.4f, deviation %.4f, want %.4f, %.4f", distributionNames[tt.d], mean, deviation, tt.mean, tt.deviation)
		}
	}
}

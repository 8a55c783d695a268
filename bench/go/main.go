// The workloads of bench/ in Go: `bench_go WORKLOAD` prints what Google Benchmark's JSON would hold; without an argument
// it prints the names of the workloads.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"runtime"
	"time"
)

type benchmark struct {
	Name           string  `json:"name"`
	ItemsPerSecond float64 `json:"items_per_second"`
	P50            float64 `json:"p50_us,omitempty"`
	P99            float64 `json:"p99_us,omitempty"`
}

// A case runs once and says how many items it did, and how long the timed part of it took.
type variant struct {
	name string
	run  func() (items int, took time.Duration)
}

var workloads = map[string][]variant{
	"spawn_outside": {{"", spawnOutside}},
	"spawn_await":   {{"", spawnAwait}},
	"timer":         {{"", timers}},
	"cancel":        {{"", cancelAll}},
	"stream":        {{"", stream}},
	"channel": {
		{"/each:1", func() (int, time.Duration) { return channel(1) }},
		{"/each:4", func() (int, time.Duration) { return channel(4) }},
	},
}

const budget = 500 * time.Millisecond

func main() {
	if len(os.Args) == 1 {
		fmt.Println("wake")
		for name := range workloads {
			fmt.Println(name)
		}
		return
	}
	name := os.Args[1]
	var found []benchmark
	for _, threads := range []int{1, 2} {
		runtime.GOMAXPROCS(threads)
		label := fmt.Sprintf("%s/threads:%d", name, threads)
		if name == "wake" {
			found = append(found, wake(label))
			continue
		}
		variants, known := workloads[name]
		if !known {
			fmt.Fprintf(os.Stderr, "bench_go: unknown workload %q\n", name)
			os.Exit(2)
		}
		for _, v := range variants {
			var items int
			var took time.Duration
			for began := time.Now(); time.Since(began) < budget; {
				i, t := v.run()
				items, took = items+i, took+t
			}
			found = append(found, benchmark{Name: label + v.name, ItemsPerSecond: float64(items) / took.Seconds()})
		}
	}
	json.NewEncoder(os.Stdout).Encode(map[string]any{"benchmarks": found})
}

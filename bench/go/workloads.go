package main

import (
	"context"
	"sort"
	"sync"
	"time"
)

const tasks = 100_000

func spawnOutside() (int, time.Duration) {
	began := time.Now()
	var all sync.WaitGroup
	all.Add(tasks)
	for range tasks {
		go all.Done()
	}
	all.Wait()
	return tasks, time.Since(began)
}

func spawnAwait() (int, time.Duration) {
	began := time.Now()
	for range tasks {
		done := make(chan struct{})
		go close(done)
		<-done
	}
	return tasks, time.Since(began)
}

func timers() (int, time.Duration) {
	began := time.Now()
	for range tasks {
		time.AfterFunc(time.Hour, func() {}).Stop()
	}
	return tasks, time.Since(began)
}

func cancelAll() (int, time.Duration) {
	ctx, cancel := context.WithCancel(context.Background())
	var waiting, all sync.WaitGroup
	waiting.Add(tasks)
	all.Add(tasks)
	for range tasks {
		go func() {
			defer all.Done()
			timer := time.NewTimer(time.Hour)
			defer timer.Stop()
			waiting.Done()
			select {
			case <-timer.C:
			case <-ctx.Done():
			}
		}()
	}
	waiting.Wait()
	time.Sleep(20 * time.Millisecond) // the last ones reach their select
	began := time.Now()
	cancel()
	all.Wait()
	return tasks, time.Since(began)
}

// A channel is all that Go has for a stream: nothing ends the producer when its consumer has gone.
func stream() (int, time.Duration) { return channel(1) }

func channel(each int) (int, time.Duration) {
	const items = 1_000_000
	began := time.Now()
	c := make(chan int, 1024)
	var producers, consumers sync.WaitGroup
	sums := make([]int, each)
	for i := range each {
		producers.Add(1)
		consumers.Add(1)
		go func() {
			defer producers.Done()
			for n := range items / each {
				c <- n
			}
		}()
		go func() {
			defer consumers.Done()
			sum := 0
			for v := range c {
				sum += v
			}
			sums[i] = sum
		}()
	}
	producers.Wait()
	close(c)
	consumers.Wait()
	return items, time.Since(began)
}

func wake(label string) benchmark {
	const rounds = 2000
	asked, ran := make(chan time.Time), make(chan time.Duration)
	go func() {
		for at := range asked {
			ran <- time.Since(at)
		}
	}()
	var latencies []float64
	var sum float64
	for range rounds {
		time.Sleep(300 * time.Microsecond)
		asked <- time.Now()
		took := <-ran
		latencies = append(latencies, float64(took.Nanoseconds())/1e3)
		sum += took.Seconds()
	}
	close(asked)
	sort.Float64s(latencies)
	return benchmark{label, rounds / sum, latencies[rounds/2], latencies[rounds*99/100]}
}

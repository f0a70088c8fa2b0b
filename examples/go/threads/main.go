// Runs a model on goroutines: a parallel_for of one's own. See ../main.go for the plain call.
//
//	smc compile examples/mnist/cnn -o libcnn.a
//	cd examples/go/threads
//	CGO_CFLAGS="-I$OLDPWD" CGO_LDFLAGS="$OLDPWD/libcnn.a" go build -o threads_go
//	./threads_go ../../mnist/digits.bin
package main

/*
#include "libcnn.h"

// Nanoseconds of work that pay for starting goroutines, and for calling Go.
#define WORTH_WAKING 20000

// Defined in Go below.
extern void goParallelFor(void *pool, void *task, void *arg, int64_t count);

static void parallel_for(void *pool, void (*task)(void *, int64_t, int64_t), void *arg, int64_t count,
                         int64_t nanoseconds) {
	if (nanoseconds < WORTH_WAKING)
		task(arg, 0, count);
	else
		goParallelFor(pool, (void *)task, arg, count);
}

// Go cannot call a C function pointer by itself.
static void run_task(void *task, void *arg, int64_t begin, int64_t end) {
	((void (*)(void *, int64_t, int64_t))task)(arg, begin, end);
}

static int classify(const float *images, float *probabilities, int64_t batch, int64_t width, void *workspace,
                    size_t bytes) {
	struct smc_threads threads = {0, parallel_for, width};
	struct cnn_serving_default io = {0};
	io.inputs = images;
	io.output_0 = probabilities;
	io.batch = batch;
	io.threads = width > 1 ? &threads : 0;
	return cnn_serving_default(&io, workspace, bytes);
}
*/
import "C"

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"sync"
	"unsafe"
)

const (
	pixels  = 28 * 28
	record  = pixels + 1
	classes = 10
)

// goParallelFor runs the task over all of [0, count), a piece for each processor. How the range is cut never shows in
// the result.
//
//export goParallelFor
func goParallelFor(_ unsafe.Pointer, task unsafe.Pointer, arg unsafe.Pointer, count C.int64_t) {
	pieces := C.int64_t(runtime.GOMAXPROCS(0))
	if pieces > count {
		pieces = count
	}
	var all sync.WaitGroup
	for piece := C.int64_t(0); piece < pieces; piece++ {
		all.Add(1)
		go func(begin, end C.int64_t) {
			defer all.Done()
			C.run_task(task, arg, begin, end)
		}(count*piece/pieces, count*(piece+1)/pieces)
	}
	all.Wait()
}

// workspace is a slice of at least n bytes that starts at a multiple of 64.
func workspace(n uintptr) []byte {
	memory := make([]byte, n+C.SMC_WORKSPACE_ALIGN)
	skip := -uintptr(unsafe.Pointer(&memory[0])) % C.SMC_WORKSPACE_ALIGN
	return memory[skip:]
}

// classify returns the probabilities of the ten classes for each image, computed by so many threads.
func classify(images []float32, width int) ([]float32, error) {
	batch := C.int64_t(len(images) / pixels)
	if batch == 0 {
		return nil, nil
	}
	bytes := C.cnn_serving_default_workspace(batch)
	if bytes == C.SIZE_MAX {
		return nil, errors.New("too many images")
	}
	probabilities := make([]float32, int(batch)*classes)
	memory := workspace(uintptr(bytes))
	status := C.classify((*C.float)(&images[0]), (*C.float)(&probabilities[0]), batch, C.int64_t(width),
		unsafe.Pointer(&memory[0]), bytes)
	if status != C.SMC_OK {
		return nil, errors.New(C.GoString(C.smc_status_text(status)))
	}
	return probabilities, nil
}

func run() error {
	if len(os.Args) != 2 {
		return fmt.Errorf("usage: %s digits.bin", os.Args[0])
	}
	records, err := os.ReadFile(os.Args[1])
	if err != nil {
		return err
	}
	count := len(records) / record
	images := make([]float32, 0, count*pixels)
	for i := 0; i < count; i++ {
		for _, grey := range records[i*record : i*record+pixels] {
			images = append(images, float32(grey)/255)
		}
	}
	alone, err := classify(images, 1)
	if err != nil {
		return err
	}
	together, err := classify(images, 2)
	if err != nil {
		return err
	}
	for i := range alone {
		if alone[i] != together[i] {
			return errors.New("threads changed the result")
		}
	}
	right := 0
	for i := 0; i < count; i++ {
		row, best := together[i*classes:(i+1)*classes], 0
		for class, p := range row {
			if p > row[best] {
				best = class
			}
		}
		if best == int(records[i*record+pixels]) {
			right++
		}
	}
	fmt.Printf("%d of %d digits recognised\n", right, count)
	return nil
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

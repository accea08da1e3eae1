package spicedb

import (
	"context"
	"strconv"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
)

const (
	// maxStepsHeader is a request header with a step limit for one check. It can only lower the limit of the call. A
	// remote SpiceDB ignores it.
	maxStepsHeader = "sluice-max-steps"

	// stepsTrailer is the trailer with the steps that a check with maxStepsHeader took.
	stepsTrailer = "sluice-steps"

	// The numbers of queries and rows that one step may take on average.
	queriesPerStep, rowsPerStep = 10, 200
)

// maxStepsOf returns the limit in the header maxStepsHeader, or 0 if the call has none.
func maxStepsOf(ctx context.Context) int64 {
	for _, text := range metadata.ValueFromIncomingContext(ctx, maxStepsHeader) {
		if n, err := strconv.ParseInt(text, 10, 64); err == nil {
			return n
		}
	}
	return 0
}

// lowered returns lower limits, for a check that may take only this number of steps.
func (l limits) lowered(steps int64) limits {
	if steps <= 0 || steps >= l.steps {
		return l
	}
	l.steps = steps
	l.queries, l.rows = min(l.queries, queriesPerStep*steps), min(l.rows, rowsPerStep*steps)
	return l
}

// sendSteps sends the steps that a call took in the trailer stepsTrailer. Queries and rows count as steps.
func sendSteps(ctx context.Context, done *work, divisor int64) {
	steps := max(
		done.done[countSteps].Load(), done.done[countQueries].Load()/queriesPerStep, done.done[countRows].Load()/rowsPerStep,
	)
	// The trailer is missing only if the call has ended already.
	_ = grpc.SetTrailer(ctx, metadata.Pairs(stepsTrailer, strconv.FormatInt(steps*divisor, 10)))
}

// stepsOf returns the steps in the trailer of a call, or the limit if the trailer has none.
func stepsOf(trailer metadata.MD, limit int64) int64 {
	var sum int64
	for _, text := range trailer.Get(stepsTrailer) { // one for each evaluation
		n, _ := strconv.ParseInt(text, 10, 64)
		sum += n
	}
	if sum == 0 {
		return limit
	}
	return sum
}

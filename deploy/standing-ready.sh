#!/bin/sh
# Measures what standing ready is worth: replays each month of a demand file
# with and without --stand-ready, and prints a row for each month, fleet size
# and policy, summed over the seeds of the crews' places.
#
#   deploy/standing-ready.sh calls.csv.gz "2016-02 2016-05" "14 20 30" "1 2"
#
# It needs bin/rescued (make build), awk and gzip.
set -eu
demand=${1:?which calls: a CSV or CSV.gz with call_time,lat,lng,kind}
months=${2:-2016-02 2016-05}
sizes=${3:-14 20 30}
seeds=${4:-1 2}
policies=${5:-nearest closest promise}
rescued=${RESCUED:-bin/rescued}
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

case $demand in
*.gz) gzip -dc "$demand" ;;
*) cat "$demand" ;;
esac >"$dir/all.csv"

echo "| month | crews | policy | late before | late after | of the late | km before | km after | moves km |"
echo "|---|---|---|---|---|---|---|---|---|"
for month in $months; do
	awk -v m="$month" 'NR == 1 || index($0, m) == 1' "$dir/all.csv" >"$dir/calls.csv"
	for crews in $sizes; do
		: >"$dir/runs.csv"
		for seed in $seeds; do
			for ready in false true; do
				"$rescued" replay --demand "$dir/calls.csv" --sweep "crews=$crews..$crews" --seed "$seed" \
					--stand-ready="$ready" --out "$dir/sweep.csv" >/dev/null 2>"$dir/errors" || { cat "$dir/errors" >&2; exit 1; }
				cat "$dir/sweep.csv" >>"$dir/runs.csv"
			done
		done
		awk -F, -v month="$month" -v crews="$crews" -v policies="$policies" '
			$1 == "crews" { for (i = 1; i <= NF; i++) at[$i] = i; next }
			{ k = $at["policy"] "," $at["stand_ready"]; n[k] += $at["requests"]; late[k] += $at["late"]
			  km[k] += $at["driven_km"]; moved[k] += $at["moved_km"] }
			END { count = split(policies, list, " ")
			  for (i = 1; i <= count; i++) { b = list[i] ",false"; a = list[i] ",true"
			    printf "| %s | %d | %s | %.2f%% | %.2f%% | %+.0f%% | %.0f | %.0f | %.0f |\n", month, crews, list[i],
			      100 * late[b] / n[b], 100 * late[a] / n[a], late[b] ? 100 * (late[a] / late[b] - 1) : 0, km[b], km[a], moved[a] } }' "$dir/runs.csv"
	done
done

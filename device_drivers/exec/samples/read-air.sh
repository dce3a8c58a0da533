#!/bin/sh
# A driver in shell: reads a sensor of the kernel's (hwmon, in thousandths of a degree) once a minute.
# SENSOR names its file. An error goes to standard error: the agent counts its lines and starts the program again later.
sensor=${1:-/sys/class/hwmon/hwmon0/temp1_input}
while milli=$(cat "$sensor"); do
    now=$(date +%s)000
    awk -v milli="$milli" -v now="$now" \
        'BEGIN { printf "{\"quantity\": \"temperature\", \"value\": %.3f, \"time_ms\": %s}\n", milli / 1000, now }'
    sleep "${BANSUI_CADENCE_S:-60}"
done

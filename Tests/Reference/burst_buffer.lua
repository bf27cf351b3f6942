-- The burst buffer script of the reference clusters (see `cluster`): keeps no storage, answers at once and does what the
-- files in hooks/ or the `#test` lines of the job's script tell. job_process, pools and paths run inside slurmctld's own
-- process and hold its lock: they never wait unless a test asks for just that.
local home = "@HOME@/hooks/"

local function slurp(path)
	local file = io.open(path, "r")
	if not file then return nil end
	local text = file:read("*a")
	file:close()
	return text
end

local function append(path, line)
	local file = io.open(path, "a")
	if file then file:write(line, "\n"); file:close() end
end

local function quoted(value)
	return '"' .. tostring(value):gsub('[\\"]', "\\%0"):gsub("\n", "\\n") .. '"'
end

local function note(name, ...)
	local words = {}
	for i = 1, select("#", ...) do words[i] = quoted((select(i, ...))) end
	append(home .. "calls", os.time() .. " " .. name .. "(" .. table.concat(words, ", ") .. ")")
end

-- What the job's own script asks of this hook: a table of verb = rest of the line.
local function wishes(script, name)
	local found = {}
	local text = script and slurp(script)
	if not text then return found end
	for hook, verb, rest in text:gmatch("\n#test (%S+) (%S+) ?([^\n]*)") do
		if hook == name then found[verb] = rest end
	end
	return found
end

local function steer(name, job, script)
	local asked = wishes(script, name)
	local function setting(verb)
		if job then
			local own = slurp(home .. name .. "." .. job .. "." .. verb)
			if own then return own, home .. name .. "." .. job end
		end
		if asked[verb] then return asked[verb] end
		local general = slurp(home .. name .. "." .. verb)
		if general then return general, home .. name end
	end
	while setting("gate") and not slurp(home .. "stop") do
		-- A gate in a script opens when its file does.
		if asked.gate and slurp(home .. name .. "." .. job .. ".open") then break end
		os.execute("sleep 0.2")
	end
	local seconds = setting("sleep")
	if seconds then os.execute("exec sleep " .. tonumber(seconds)) end
	local text, file = setting("fail")
	if text then
		local times, counter
		if file then
			times, counter = tonumber(slurp(file .. ".times") or ""), file .. ".times"
		else
			local number, rest = text:match("^(%d+) (.*)$")
			if number then
				counter = home .. "count/" .. name .. "." .. job
				times, text = tonumber(slurp(counter) or number), rest
			end
			text = text:gsub("\\n", "\n")
		end
		if not times then return slurm.ERROR, text end
		if times > 0 then
			local out = io.open(counter, "w")
			if out then out:write(times - 1, "\n"); out:close() end
			return slurm.ERROR, text
		end
	end
	local answer = setting("answer")
	if answer then return slurm.SUCCESS, answer end
	return slurm.SUCCESS
end

-- slurmctld takes an explicit nil as a failed call, so a success without an answer returns one value.
local function outcome(code, answer)
	if answer == nil then return code end
	return code, answer
end

local function pools()
	local used = {}
	for line in (slurp(home .. "sessions") or ""):gmatch("[^\n]+") do
		local sign, token, pool, size = line:match("^(%S) (%S+) ?(%S*) ?(%S*)")
		if sign == "+" then used[token] = { pool, tonumber(size) or 0 } else used[token] = nil end
	end
	local list = {}
	for id, granularity, quantity, drained in (slurp(home .. "pools") or ""):gmatch("(%S+) (%d+) (%d+) (%S+)\n") do
		local entry = '{"id":"' .. id .. '","granularity":' .. granularity .. ',"quantity":' .. quantity
		-- `free` replaces slurmctld's own count of what is taken, so it is given only once a test drains a pool.
		if drained ~= "-" then
			local free = tonumber(quantity) - tonumber(drained)
			for _, session in pairs(used) do
				if session[1] == id then free = free - math.ceil(session[2] / tonumber(granularity)) end
			end
			entry = entry .. ',"free":' .. string.format("%d", math.max(free, 0))
		end
		list[#list + 1] = entry .. "}"
	end
	return '{"pools":[' .. table.concat(list, ",") .. "]}"
end

function slurm_bb_job_process(script)
	note("job_process", script)
	return steer("job_process", nil, script)
end

function slurm_bb_pools()
	local code, answer = steer("pools")
	if code ~= slurm.SUCCESS or answer then return outcome(code, answer) end
	return slurm.SUCCESS, pools()
end

function slurm_bb_setup(job, user, group, pool, size, script)
	note("setup", job, user, group, pool, size, script)
	local code, answer = steer("setup", job, script)
	if code == slurm.SUCCESS then
		append(home .. "sessions", "+ " .. job .. " " .. tostring(pool) .. " " .. tostring(size) .. " " .. user .. " " .. os.time())
		-- real_size is not told the script's path.
		local real = wishes(script, "real_size").answer
		local file = real and io.open(home .. "real_size." .. job .. ".answer", "w")
		if file then file:write(real); file:close() end
	end
	return outcome(code, answer)
end

function slurm_bb_data_in(job, script)
	note("data_in", job, script)
	return steer("data_in", job, script)
end

function slurm_bb_real_size(job)
	note("real_size", job)
	return steer("real_size", job)
end

function slurm_bb_paths(job, script, path)
	note("paths", job, script, path)
	local file = io.open(path, "w")
	if file then file:write("BB_JOB_DIR=/mnt/bb/" .. job .. "\n"); file:close() end
	return steer("paths", job, script)
end

function slurm_bb_pre_run(job, script)
	note("pre_run", job, script)
	return steer("pre_run", job, script)
end

function slurm_bb_post_run(job, script)
	note("post_run", job, script)
	return steer("post_run", job, script)
end

function slurm_bb_data_out(job, script)
	note("data_out", job, script)
	return steer("data_out", job, script)
end

function slurm_bb_test_data_in(job, script)
	return steer("test_data_in", job, script)
end

function slurm_bb_test_data_out(job, script)
	return steer("test_data_out", job, script)
end

function slurm_bb_job_teardown(job, script, hurry)
	note("teardown", job, script, hurry)
	local code, answer = steer("teardown", job, script)
	if code == slurm.SUCCESS then append(home .. "sessions", "- " .. job) end
	return outcome(code, answer)
end

function slurm_bb_get_status(...)
	note("get_status", ...)
	local code, answer = steer("get_status")
	if code ~= slurm.SUCCESS or answer then return outcome(code, answer) end
	local words = {}
	for i = 1, select("#", ...) do words[i] = tostring((select(i, ...))) end
	local lines, live = { "status: " .. table.concat(words, " "), "  token pool size owner" }, {}
	for line in (slurp(home .. "sessions") or ""):gmatch("[^\n]+") do
		local sign, token, rest = line:match("^(%S) (%S+) ?(.*)$")
		live[token] = sign == "+" and rest or nil
	end
	for token, rest in pairs(live) do lines[#lines + 1] = "  " .. token .. " " .. rest end
	return slurm.SUCCESS, table.concat(lines, "\n") .. "\n"
end

-- The burst buffers of `burstmon --demo`: folders under one temporary place, between which files are really copied.
-- What a job wants stands in its script: `#demo in FILES SECONDS` and `#demo out FILES SECONDS` copy so many files with
-- so long a pause after each, `#demo fail FUNCTION TEXT` makes a function fail, `#demo fail-times FUNCTION N TEXT` N times.
local root = "@ROOT@"

local function slurp(path)
	local file = io.open(path, "r")
	if not file then return "" end
	local text = file:read("a")
	file:close()
	return text
end

local function wish(script, word)
	return slurp(script):match("\n#demo " .. word .. " ([^\n]*)")
end

local function folder(job) return root .. "/buffers/" .. job end

-- True, or nil and the reason.
local function sh(command)
	local ok, how, code = os.execute(command)
	if ok then return true end
	return nil, command:match("^%S+") .. ": " .. how .. " " .. code
end

-- The answer that the job's script asks of a function; nil: none.
local function failure(job, script, name)
	local text = wish(script, "fail " .. name)
	if text then return text end
	local times, reason = (wish(script, "fail%-times " .. name) or ""):match("^(%d+) (.*)$")
	if not times then return nil end
	local counter = root .. "/counters/" .. job .. "." .. name
	local count = tonumber(slurp(counter)) or 0
	if count >= tonumber(times) then return nil end
	local file = io.open(counter, "w")
	if file then
		file:write(count + 1)
		file:close()
	end
	return reason
end

-- Copies files one by one, so that it can be watched.
local function copy(from, to, count, pause)
	for number = 1, count do
		local ok, why = sh("cp " .. from(number) .. " " .. to(number))
		if not ok then return slurm.ERROR, why end
		os.execute("sleep " .. pause)
	end
	return slurm.SUCCESS
end

function slurm_bb_job_process(script)
	return slurm.SUCCESS
end

function slurm_bb_pools()
	return slurm.SUCCESS, '{"pools":[{"id":"nvme","granularity":16777216,"quantity":64},'
		.. '{"id":"scratch","granularity":67108864,"quantity":64}]}'
end

function slurm_bb_setup(job, uid, gid, pool, size, script)
	local text = failure(job, script, "setup")
	if text then return slurm.ERROR, text end
	slurm.log_info("setup of job %s: %s in pool %s", job, size, pool)
	local ok, why = sh("mkdir -p " .. folder(job) .. " && sleep 0.5")
	if not ok then return slurm.ERROR, why end
	return slurm.SUCCESS
end

function slurm_bb_data_in(job, script)
	local text = failure(job, script, "data_in")
	if text then return slurm.ERROR, text end
	local count, pause = (wish(script, "in") or "2 1"):match("^(%d+) ([%d.]+)$")
	return copy(
		function(number) return root .. "/data/block" .. (number - 1) % 4 + 1 end,
		function(number) return folder(job) .. "/in" .. number end, tonumber(count), pause)
end

function slurm_bb_test_data_in(job, script)
	return slurm.SUCCESS
end

function slurm_bb_real_size(job)
	return slurm.SUCCESS
end

function slurm_bb_paths(job, script, path)
	local file = io.open(path, "w")
	if not file then return slurm.ERROR, path .. " cannot be written" end
	file:write("BB_DIR=" .. folder(job) .. "\n")
	file:close()
	return slurm.SUCCESS
end

function slurm_bb_pre_run(job, script)
	return slurm.SUCCESS
end

function slurm_bb_post_run(job, script)
	return slurm.SUCCESS
end

function slurm_bb_data_out(job, script)
	local text = failure(job, script, "data_out")
	if text then return slurm.ERROR, text end
	local count, pause = (wish(script, "out") or "2 1"):match("^(%d+) ([%d.]+)$")
	-- There may be more results than there was input.
	local inputs = tonumber((wish(script, "in") or "2"):match("^%d+"))
	local ok, why = sh("mkdir -p " .. root .. "/results/" .. job)
	if not ok then return slurm.ERROR, why end
	return copy(
		function(number) return folder(job) .. "/in" .. (number - 1) % inputs + 1 end,
		function(number) return root .. "/results/" .. job .. "/out" .. number end, tonumber(count), pause)
end

function slurm_bb_test_data_out(job, script)
	return slurm.SUCCESS
end

function slurm_bb_job_teardown(job, script, hurry)
	local text = failure(job, script, "teardown")
	if text then return slurm.ERROR, text end
	sh("sleep 0.5")
	local ok, why = sh("rm -rf " .. folder(job) .. " " .. root .. "/results/" .. job .. " " .. root .. "/counters/" .. job .. ".*")
	if not ok then return slurm.ERROR, why end
	return slurm.SUCCESS
end

function slurm_bb_get_status(uid, gid, ...)
	local list = io.popen("du -s " .. root .. "/buffers/* 2>/dev/null")
	local text = "KiB\tbuffer\n" .. (list and list:read("a") or "")
	if list then list:close() end
	return slurm.SUCCESS, text
end

-- The burst buffers of `burstmon --demo`: the script that comes with Burst, over the stager, which really copies. Only
-- what no healthy storage shows is played here; a job's script asks for it: `#demo fail FUNCTION TEXT` makes a function
-- fail, `#demo fail-times FUNCTION N TEXT` N times.
local root = "@ROOT@"
dofile(root .. "/conf/stager.lua")

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

local setup, teardown = slurm_bb_setup, slurm_bb_job_teardown

function slurm_bb_setup(job, uid, gid, pool, size, script)
	local text = failure(job, script, "setup")
	if text then return slurm.ERROR, text end
	return setup(job, uid, gid, pool, size, script)
end

function slurm_bb_job_teardown(job, script, hurry)
	local text = failure(job, script, "teardown")
	if text then return slurm.ERROR, text end
	return teardown(job, script, hurry)
end

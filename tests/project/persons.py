"""Persons as tests write and read them: places with a comma and without, and the rows of core."""

CORE = "select person_id, name, age, is_married, city, state, country from core.people order by person_id"
PLACES = ["Lima,Lima,Peru", "Rome,Lazio,Italy", '"Washington, D.C.",District of Columbia,United States']

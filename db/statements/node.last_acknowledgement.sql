select last_value as mark from acknowledgements
